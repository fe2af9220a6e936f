"""An eigendecomposition is one call that says nothing for minutes: its cost is known, so the time left is estimated."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

import torch

from locality.work import Progress

T = TypeVar("T")
_QUICK = 1000  # sides of a matrix decomposed in a moment
_SAMPLE = 512  # side of the matrix whose time is measured
_EFFICIENCY = 0.5  # time per n^3 of a large matrix over that of the sample, measured
_NOTE = "Eigendecomposition"
_BEAT = 0.5  # seconds between two events


def with_time_left(work: Callable[[], T], side: int, start: float, stop: float) -> Generator[Progress, None, T]:
    """Run `work`, the decomposition of a side x side matrix, telling how much of it is done by the clock.

    The events fill [start, stop] of a whole of 1. A small matrix is decomposed at once.
    """
    yield Progress(start, 1.0, _NOTE)
    if side <= _QUICK:
        return work()
    threads, begun = torch.get_num_threads(), time.perf_counter()
    expected = _expected(side)

    def alone() -> T:
        torch.set_num_threads(threads)  # a new thread starts with a number of its own
        return work()

    with ThreadPoolExecutor(1) as pool:
        future: Future[T] = pool.submit(alone)
        while not future.done():
            left = expected - (time.perf_counter() - begun)
            done = 1.0 - max(left / expected, 0.01)
            yield Progress(start + (stop - start) * done, 1.0, _NOTE, {"seconds_left": max(left, 0.0)})
            wait([future], timeout=_BEAT)
        return future.result()


def _expected(side: int) -> float:
    """Seconds, from a small decomposition on this machine as busy as it is now: they grow as side^3."""
    generator = torch.Generator().manual_seed(0)
    sample = torch.randn(_SAMPLE, _SAMPLE, generator=generator, dtype=torch.float64)
    begun = time.perf_counter()
    torch.linalg.eigh(sample @ sample.T)
    return _EFFICIENCY * (time.perf_counter() - begun) * (side / _SAMPLE) ** 3
