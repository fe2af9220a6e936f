"""Long work: a generator of progress events that returns its result, and the heartbeat inside one of its steps.

A denoising call is a plain function and cannot yield: its streaming loop calls `heartbeat(fraction)` between
chunks, and whoever runs the work listens. Heartbeats reach the listener of the same thread only, and cost
nothing where nobody listens.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")

HEARTBEAT_SECONDS = 0.1  # heartbeats may come many times a second; nobody reads faster


@dataclass(frozen=True)
class Progress:
    """One event of long work: `done` of `total` units, what is being done, and live numbers."""

    done: float
    total: float
    note: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)

    @property
    def fraction(self) -> float:
        """Share done, in [0, 1]."""
        return min(max(self.done / self.total, 0.0), 1.0) if self.total > 0 else 0.0


def finish(work: Generator[Progress, None, T], report: Callable[[Progress], None] = lambda _: None) -> T:
    """Run long work to its end, reporting each event; returns its result.

    While a step runs, its heartbeats are reported as the last event with so much more
    done, at most ten times a second. What `report` raises ends the work, inside a step too, and passes through.
    """
    last, reported = Progress(0.0, 1.0), time.monotonic()

    def inside(fraction: float) -> None:
        nonlocal reported
        if time.monotonic() - reported >= HEARTBEAT_SECONDS:
            report(Progress(min(last.done + fraction, last.total), last.total, last.note, last.numbers))
            reported = time.monotonic()

    with closing(work):
        while True:
            try:
                with listening(inside):
                    last = next(work)
            except StopIteration as end:
                result: T = end.value
                return result
            report(last)
            reported = time.monotonic()


def map_progress(
    work: Generator[Progress, None, T], change: Callable[[Progress], Progress]
) -> Generator[Progress, None, T]:
    """Long work as part of other work: the same result, other words for its events. Closing it closes the work."""
    with closing(work):
        while True:
            try:
                event = next(work)
            except StopIteration as end:
                result: T = end.value
                return result
            yield change(event)


_listener: ContextVar[Callable[[float], None] | None] = ContextVar("listener", default=None)


def heartbeat(fraction: float) -> None:
    """Say how much of the current call is done, in [0, 1]. What the listener raises passes through."""
    listener = _listener.get()
    if listener is not None:
        listener(fraction)


@contextmanager
def listening(listener: Callable[[float], None]) -> Iterator[None]:
    """Send the heartbeats of the calls inside to `listener`, which may raise to cancel them."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


@contextmanager
def within(start: float, stop: float) -> Iterator[None]:
    """Heartbeats of the calls inside fill [start, stop] of the call they are a part of."""
    outer = _listener.get()
    if outer is None:
        yield
        return
    with listening(lambda fraction: outer(start + (stop - start) * fraction)):
        yield
