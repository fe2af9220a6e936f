"""Studies of a server: in a thread, one at a time in each lane, with progress and cancel, shared by all who ask."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import streamlit as st

from locality.errors import LocalityError
from locality.studies import finish
from locality.work import Progress
from pages._ui.lane import Turn
from pages._ui.line import Line
from pages._ui.timing import spoken

_POLL = 0.5  # seconds between looks at work under way


class Stopped(Exception):
    """Raised inside the work to end it."""


@dataclass(eq=False)
class Work:
    """A generator of progress that somebody waits for; what it keeps in the store outlives it."""

    key: str
    make: Callable[[], Generator[Progress, None, Any]]
    lane: str = "long"  # "short": does not wait behind long ones
    latest: Progress = Progress(0.0, 1.0, "Starting")
    result: Any = None
    error: str = ""
    cancelled: bool = False
    began: float = 0.0
    stop: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def needs(self) -> str:
        """What a shared server must allow for it: long studies."""
        return "bench" if self.lane == "long" else ""

    def run(self, others_wait: Turn) -> None:
        """Do it, unless it was cancelled while it waited."""
        self.began = time.monotonic()
        try:
            self.result = finish(self.make(), partial(self._follow, others_wait))
        except Stopped:
            self.cancelled = True
        except LocalityError as error:
            self.error = str(error)
        except BaseException:
            self.error = "It failed unexpectedly; the server's log has the error."
            raise

    def _follow(self, others_wait: Turn, event: Progress) -> None:
        self.latest = event
        others_wait.give_way()
        if self.stop.is_set():
            raise Stopped

    @property
    def doing(self) -> str:
        """What is being done now, and for how long still."""
        done, spent = self.latest.fraction, time.monotonic() - self.began
        known = self.latest.numbers.get("seconds_left")  # work that was begun before knows better than the clock
        rest = known if known is not None else spent * (1 - done) / done if done > 0.02 and spent > 2 else None
        left = "" if rest is None else f"; about {spoken(rest)} left"
        return f"{self.latest.note}{left}"


class Works(Line[Work]):
    """The line of studies of this server."""


WORKS = Works()


def running(key: str) -> Work | None:
    """The work of a key while it waits or runs."""
    work = WORKS.find(key)
    return None if work is None or work.ended.is_set() else work


def follow(key: str, *, stop: str = "Cancel") -> None:
    """Show the work of a key with a button that ends it; the page runs once more when it has ended."""
    st.fragment(_bar, run_every=_POLL)(key, stop)


def _bar(key: str, stop: str) -> None:
    work = running(key)
    if work is None:
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center"):
        icon = ":material/pause:" if stop == "Pause" else ":material/stop:"
        able = WORKS.may_end(work) and not work.stop.is_set()
        if st.button(stop, icon=icon, key=f"cancel_{key}", disabled=not able) and WORKS.give_up(work):
            work.stop.set()
            if WORKS.leave(work):
                work.cancelled = True
        before = WORKS.before(work)
        if before:
            several = "1 study of this server is" if before == 1 else f"{before} studies of this server are"
            st.progress(0.0, f"Waiting in line: {several} before this one.")
        else:
            st.progress(work.latest.fraction, f"{stop}…" if work.stop.is_set() else work.doing)
