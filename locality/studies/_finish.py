"""Running long work to its end, with news from inside its steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import closing
from typing import TypeVar

from locality.pulse import listening
from locality.types import Progress

T = TypeVar("T")

BEAT_SECONDS = 0.1  # beats may come many times a second; nobody reads faster


def finish(work: Generator[Progress, None, T], report: Callable[[Progress], None] = lambda _: None) -> T:
    """Run long work to its end, reporting each event; returns its result.

    While a step runs, its beats (see `locality.pulse`) are reported as the last event with so much more
    done, at most ten times a second. What `report` raises ends the work, inside a step too, and passes through.
    """
    last, told = Progress(0.0, 1.0), time.monotonic()

    def inside(fraction: float) -> None:
        nonlocal told
        if time.monotonic() - told >= BEAT_SECONDS:
            report(Progress(min(last.done + fraction, last.total), last.total, last.note, last.numbers))
            told = time.monotonic()

    with closing(work):
        while True:
            try:
                with listening(inside):
                    last = next(work)
            except StopIteration as end:
                result: T = end.value
                return result
            report(last)
            told = time.monotonic()


def retold(work: Generator[Progress, None, T], tell: Callable[[Progress], Progress]) -> Generator[Progress, None, T]:
    """Long work as part of other work: the same result, other words for its events. Closing it closes the work."""
    with closing(work):
        while True:
            try:
                event = next(work)
            except StopIteration as end:
                result: T = end.value
                return result
            yield tell(event)
