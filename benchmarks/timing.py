"""Timing two implementations side by side, and what one call takes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from locality.memory import PeakMemory

R = TypeVar("R")


@dataclass(frozen=True)
class Spent:
    """Processor-seconds of a call, and bytes at its peak beside those held before; `whole`: not told from a part."""

    seconds: float
    bytes: int
    whole: bool = True

    def times(self, factor: float) -> Spent:
        """Told from a part of the images that is so many times smaller; memory stays that of the part."""
        return self if factor == 1.0 else replace(self, seconds=self.seconds * factor, whole=False)


def spent(work: Callable[[], R]) -> tuple[R, Spent]:
    """What a call gives, and what it takes."""
    peak = PeakMemory()
    held, start = peak.start(), time.process_time()
    found = work()
    seconds, most = time.process_time() - start, peak.read()
    return found, Spent(seconds, 0 if held is None or most is None else most - held)


def median_ms(work: Callable[[], object], repeats: int = 9, clock: Callable[[], float] = time.perf_counter) -> float:
    """Median time of one call in milliseconds, by the wall's clock or another, after one warm-up call."""
    work()
    return statistics.median(_once(work, clock) for _ in range(repeats))


def alternate_ms(
    ours: Callable[[], object],
    plain: Callable[[], object],
    repeats: int = 9,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[float, float]:
    """Medians of two calls taken in turns, so that both see the same load of the machine."""
    ours()
    plain()
    pairs = [(_once(ours, clock), _once(plain, clock)) for _ in range(repeats)]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def _once(work: Callable[[], object], clock: Callable[[], float]) -> float:
    start = clock()
    work()
    return 1e3 * (clock() - start)
