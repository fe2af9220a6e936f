"""Timing two implementations side by side."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


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
