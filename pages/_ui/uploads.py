"""Files from the browser: limits first, progress, kept for the session they came with and removed after it."""

from __future__ import annotations

import atexit
import functools
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit import config, runtime

from locality.pictures.uploads import Given, Uploads
from locality.sharing import grant, revoke
from pages._ui.quota import QUOTA
from pages._ui.shared import session

_PATIENCE = 120.0  # seconds in which a browser that lost its connection may come back


@dataclass
class Held:
    """What one session gave: its places by the files they were."""

    session: str
    places: dict[tuple[str, ...], Path] = field(default_factory=dict)

    def limits(self) -> str:
        """What may be given, in one sentence, and what becomes of it."""
        each, left = int(config.get_option("server.maxUploadSize")), QUOTA.left(self.session) / 1e6
        return (
            f"At most {each} MB a file and {left:,.0f} MB in all: a zip, tar, npz or parquet, or the images. They "
            "are kept on this server while this tab is open, then removed; results stay in its cache."
        )

    def keep(self, files: Sequence[Any]) -> Path:
        """Where the files are for as long as the session lasts; the same files again are the same place.

        Raises:
            TooLarge: more than the session may give, or the disk holds.
            BadInput: an empty file.
        """
        ids = tuple(file.file_id for file in files)
        if ids in self.places:
            return self.places[ids]
        count = sum(file.size for file in files)
        QUOTA.take(self.session, count)
        bar = st.progress(0.0, "Keeping the files")

        def report(share: float) -> None:
            bar.progress(share, "Keeping the files")

        try:
            place = _server().add(self.session, [Given(file.name, file.size, file) for file in files], report)
        except BaseException:
            QUOTA.give_back(self.session, count)
            raise
        finally:
            bar.empty()
        grant(place)
        self.places[ids] = place
        return place

    def has(self, path: str) -> bool:
        """Whether a path is that of an upload of this session."""
        return any(path == str(place) for place in self.places.values())

    def end(self) -> None:
        """Remove what nobody else gave too."""
        _server().release(self.session)
        for place in self.places.values():
            if not place.exists():
                revoke(place)
        self.places.clear()
        QUOTA.give_back(self.session)


def _later(held: Held) -> None:
    """End it once its session is over: Streamlit lets go of it at a lost connection too, or when caches are cleared."""
    timer = threading.Timer(_PATIENCE, _end_if_over, [held])
    timer.daemon = True
    timer.start()


def _end_if_over(held: Held) -> None:
    if runtime.exists() and runtime.get_instance().is_active_session(held.session):
        _later(held)
    else:
        held.end()


@functools.cache
def _server() -> Uploads:
    uploads = Uploads()
    atexit.register(uploads.close)
    return uploads


@st.cache_resource(show_spinner=False, scope="session", on_release=_later)
def holding() -> Held:
    """What the session of the page gave."""
    return Held(session())
