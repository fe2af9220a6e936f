"""A lesson's page prepares the next one while it is read."""

from __future__ import annotations

import threading

import pytest
from streamlit.testing.v1 import AppTest

from pages._ui.lessons import page
from pages._ui.lessons.payload import figure_of
from pages._ui.lessons.registry import numbers


def _prepared(script: str) -> set[int]:
    """Lessons that were computed when the threads of a run have ended."""
    figure_of.cache_clear()
    page._data.clear()
    AppTest.from_string(script, default_timeout=60).run()
    for thread in threading.enumerate():
        if thread.name.startswith("lesson-"):
            thread.join(60)
    before = figure_of.cache_info().misses
    found = set()
    for number in numbers()[-2:]:
        figure_of(number)
        if figure_of.cache_info().misses == before:
            found.add(number)
        before = figure_of.cache_info().misses
    return found


@pytest.mark.parametrize("back", [1, 0], ids=["the next one", "none after the last"])
def test_a_lesson_prepares_the_next(back: int) -> None:
    last = numbers()[-1]
    found = _prepared(f"from pages._ui.lessons.page import show\nshow({last - back})")
    assert found == ({last - 1, last} if back else {last})
