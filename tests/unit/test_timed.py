"""Time left of an eigendecomposition: told while it runs, its result and its errors passed on."""

from __future__ import annotations

import itertools
import time
from collections.abc import Generator

import pytest

from locality.linear import timed
from locality.linear.timed import with_time_left
from locality.studies import finish
from locality.work import Progress


def test_a_small_one_is_done_at_once() -> None:
    work = with_time_left(lambda: 7, 10, 0.1, 0.8)
    assert next(work).fraction == 0.1
    with pytest.raises(StopIteration) as end:
        next(work)
    assert end.value.value == 7


def test_a_large_one_tells_the_time_left_and_never_more_than_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timed, "_expected", lambda side: 0.06)
    monkeypatch.setattr(timed, "_BEAT", 0.01)

    def slow() -> int:
        time.sleep(0.12)
        return 7

    results: list[int] = []

    def whole() -> Generator[Progress, None, None]:
        results.append((yield from with_time_left(slow, 5000, 0.1, 0.8)))

    events = list(whole())
    assert results == [7]
    fractions = [event.fraction for event in events]
    assert fractions == sorted(fractions)
    assert all(0.1 <= fraction < 0.8 for fraction in fractions)
    assert 0.0 < events[1].numbers["seconds_left"] <= 0.06
    assert events[-1].numbers["seconds_left"] == 0.0


def test_an_error_of_the_work_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timed, "_expected", lambda side: 1.0)
    with pytest.raises(ZeroDivisionError):
        finish(with_time_left(lambda: 1 // 0, 5000, 0.0, 1.0))


def test_the_time_of_a_large_one_grows_as_its_cube(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a sample that takes a second of this clock, half of which counts."""
    monkeypatch.setattr(time, "perf_counter", itertools.count().__next__)
    assert timed._expected(8 * 512) == 0.5 * 8**3
    assert timed._expected(16 * 512) == 0.5 * 16**3
