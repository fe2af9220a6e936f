"""Running long work to its end."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeVar

from locality.types import Progress

T = TypeVar("T")


def finish(work: Generator[Progress, None, T], report: Callable[[Progress], None] = lambda _: None) -> T:
    """Run long work to its end, reporting each event; returns its result."""
    while True:
        try:
            report(next(work))
        except StopIteration as end:
            result: T = end.value
            return result
