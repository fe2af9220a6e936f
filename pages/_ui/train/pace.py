"""How fast a network would train here: timed beside the page, which never waits for it."""

from __future__ import annotations

import atexit
import threading
import time
from dataclasses import dataclass, field

import streamlit as st

from locality.networks import NetworkSpec, TrainSpec, training_speed
from locality.types import ImageShape

_FRESH = 600.0  # seconds for which a pace is believed: the machine may be busier later
_AT_ONCE = 0.3  # seconds a page gives a quick network before it says that it is being timed
_FAREWELL = 10.0  # seconds a timing may take to end when the server does; cut off within PyTorch it aborts the process
_ONE = threading.Lock()  # two at a time would slow each other


@dataclass
class _Timing:
    """A pace that is being measured, or was."""

    began: float = field(default_factory=time.monotonic)
    speed: float | None = None
    ended: threading.Event = field(default_factory=threading.Event)

    def run(self, network: NetworkSpec, train: TrainSpec, shape: ImageShape) -> None:
        try:
            with _ONE:
                self.speed = training_speed(network, train, shape)
        finally:
            self.ended.set()


@st.cache_resource
def _known() -> dict[str, _Timing]:
    return {}


def pace(network: NetworkSpec, train: TrainSpec, shape: ImageShape) -> tuple[bool, float | None]:
    """Whether it is known, and images a second; (True, None) where it could not be measured."""
    key = f"{network.key()}{train.bfloat16}{shape}"
    timing = _known().get(key)
    if timing is None or (timing.ended.is_set() and time.monotonic() - timing.began > _FRESH):
        timing = _known()[key] = _Timing()
        threading.Thread(target=timing.run, args=(network, train, shape), daemon=True, name="pace").start()
        atexit.register(timing.ended.wait, _FAREWELL)
        timing.ended.wait(_AT_ONCE)
    return timing.ended.is_set(), timing.speed
