"""Progress and cancelling inside one denoising call, which is a plain function and cannot yield.

A streaming loop calls `beat(fraction)` between chunks; whoever waits listens. Beats reach the
listener of the same thread only, and cost nothing where nobody listens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_listener: ContextVar[Callable[[float], None] | None] = ContextVar("listener", default=None)


def beat(fraction: float) -> None:
    """Say how much of the current call is done, in [0, 1]. What the listener raises passes through."""
    listener = _listener.get()
    if listener is not None:
        listener(fraction)


@contextmanager
def listening(listener: Callable[[float], None]) -> Iterator[None]:
    """Send the beats of the calls inside to `listener`, which may raise to cancel them."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


@contextmanager
def within(start: float, stop: float) -> Iterator[None]:
    """Beats of the calls inside fill [start, stop] of the call they are a part of."""
    outer = _listener.get()
    if outer is None:
        yield
        return
    with listening(lambda fraction: outer(start + (stop - start) * fraction)):
        yield
