"""Timing two implementations side by side."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def median_ms(work: Callable[[], object], repeats: int = 9) -> float:
    """Median wall time of one call in milliseconds, after one warm-up call."""
    work()
    return statistics.median(_once(work) for _ in range(repeats))


def alternate_ms(ours: Callable[[], object], plain: Callable[[], object], repeats: int = 9) -> tuple[float, float]:
    """Medians of two calls taken in turns, so that both see the same load of the machine."""
    ours()
    plain()
    pairs = [(_once(ours), _once(plain)) for _ in range(repeats)]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def _once(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - start)
