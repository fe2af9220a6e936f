"""Measurements that a page shows when they are there and never waits for: one at a time, in threads of the server."""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from locality.errors import LocalityError
from locality.studies import Expected

_FRESH = 600.0  # seconds for which a measurement is believed: the machine may be busier later
_POLL = 1.0  # seconds between two looks at a measurement
_FAREWELL = 10.0  # seconds one may take to end when the server does; cut off within PyTorch it aborts the process
_ASKING = threading.Lock()
_ONE = threading.Lock()  # two at a time would slow each other


@dataclass(eq=False)
class Timing:
    """Something that is being measured, or was; `error` says why it could not be."""

    began: float = field(default_factory=time.monotonic)
    value: Any = None
    error: str = ""
    ended: threading.Event = field(default_factory=threading.Event)

    def run(self, measure: Callable[[], Any]) -> None:
        try:
            with _ONE:
                self.value = measure()
        except LocalityError as error:
            self.error = str(error)
        finally:
            _RUNNING.remove(self)
            self.ended.set()


_RUNNING: list[Timing] = []


@st.cache_resource
def known() -> dict[str, Timing]:
    """All timings of this server, by key."""
    return {}


def timed(key: str, measure: Callable[[], Any], *, at_once: float = 0.3) -> Timing:
    """What `measure` gives, or gave in the last ten minutes; it has `at_once` seconds before the page goes on."""
    with _ASKING:
        for old, one in list(known().items()):
            if one.ended.is_set() and time.monotonic() - one.began > _FRESH:
                del known()[old]
        timing = known().get(key)
        new = timing is None
        if timing is None:
            timing = known()[key] = Timing()
            _RUNNING.append(timing)
            threading.Thread(target=timing.run, args=(measure,), daemon=True, name="timing").start()
    if new:
        timing.ended.wait(at_once)
    return timing


def until_known(timing: Callable[[], Timing], paint: Callable[[Timing], None]) -> None:
    """Paint a part of a page from a measurement; it is painted again each second until that is known."""
    ended = timing().ended.is_set()
    st.fragment(_painted, run_every=None if ended else _POLL)(timing, paint, ended)


def _painted(timing: Callable[[], Timing], paint: Callable[[Timing], None], before: bool) -> None:
    now = timing()
    if now.ended.is_set() != before:
        st.rerun()  # once more, so that it stops looking
    paint(now)


def spoken(seconds: float) -> str:
    """A time as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def least(expected: Iterable[Expected]) -> str:
    """`about`; `at least` where not all of it could be timed."""
    return "at least" if any(one.calls is None for one in expected) else "about"


@atexit.register
def _farewell() -> None:
    """What is still being measured as the server ends."""
    for timing in list(_RUNNING):
        timing.ended.wait(_FAREWELL)
