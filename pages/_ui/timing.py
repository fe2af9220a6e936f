"""Measurements that a page shows when they are there and never waits for: one at a time, in threads of the server."""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from locality.errors import LocalityError

_FRESH = 600.0  # seconds for which a measurement is believed: the machine may be busier later
_FAREWELL = 10.0  # seconds one may take to end when the server does; cut off within PyTorch it aborts the process
_ONE = threading.Lock()  # two at a time would slow each other


@dataclass
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
            self.ended.set()


@st.cache_resource
def known() -> dict[str, Timing]:
    """All timings of this server, by key."""
    return {}


def timed(key: str, measure: Callable[[], Any], *, at_once: float = 0.3) -> Timing:
    """What `measure` gives, or gave in the last ten minutes; it has `at_once` seconds before the page goes on."""
    timing = known().get(key)
    if timing is None or (timing.ended.is_set() and time.monotonic() - timing.began > _FRESH):
        timing = known()[key] = Timing()
        threading.Thread(target=timing.run, args=(measure,), daemon=True, name="timing").start()
        atexit.register(timing.ended.wait, _FAREWELL)
        timing.ended.wait(at_once)
    return timing
