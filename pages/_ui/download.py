"""Downloads from the page: size and licence first, then progress with cancel, in a thread of the server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import streamlit as st

from locality.datasets import DATASETS
from locality.errors import LocalityError
from locality.sharing import refusal
from locality.work import Progress


@dataclass
class Job:
    """A download under way, shared by every session that looks at it."""

    name: str
    latest: Progress = Progress(0.0, 1.0, "Connecting")
    error: str = ""
    done: bool = False
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self, events: Iterator[Progress]) -> None:
        """Follow the events to the end, an error or a cancel; a cancelled download resumes later."""
        try:
            for event in events:
                self.latest = event
                if self.stop.is_set():
                    self.error = "Cancelled. The part downloaded so far is kept; the next download resumes from there."
                    break
        except LocalityError as error:
            self.error = str(error)
        finally:
            close = getattr(events, "close", None)
            if close is not None:
                close()
            self.done = True


@st.cache_resource
def _jobs() -> dict[str, Job]:
    return {}


def offer_download(name: str, missing: str) -> None:
    """Say what is missing; where it can be fetched, show size and licence and offer the download."""
    offer = DATASETS[name]().download()
    if offer is None:
        st.caption(missing)
        return
    job = _jobs().get(name)
    if job is not None and not job.done:
        _follow(name)
        return
    if job is not None and job.error:
        st.error(job.error)
    st.caption("The images are not on this machine.")
    if why := refusal("download"):
        st.caption(why)
        return
    with st.expander(f"Download ({offer.size / 1e6:.0f} MB)"):
        st.caption(f"Licence: {offer.licence}. Or set LOCALITY_DATA to a folder that has them.")
        if st.button("Download now", key=f"download_{name}"):
            started = _jobs()[name] = Job(name)
            threading.Thread(target=started.run, args=(offer.run(),), daemon=True).start()
            st.rerun()


@st.fragment(run_every=0.5)
def _follow(name: str) -> None:
    job = _jobs()[name]
    st.progress(job.latest.fraction, job.latest.note)
    if st.button("Cancel", key=f"cancel_{name}"):
        job.stop.set()
    if job.done:
        st.cache_resource.clear()  # sources opened without their images
        _jobs()[name] = job
        st.rerun()
