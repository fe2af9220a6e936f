"""How long each model would take here, measured beside the page; which of them are quick."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from locality.datasets import Source
from locality.studies import Expected, Sampling, expected_sampling, finish
from pages._ui.samples.rows import Row
from pages._ui.timing import least, spoken, timed

QUICK = 60.0  # seconds: a model that takes longer runs only when it is asked for by its own button


def with_costs(source: Source, rows: Sequence[Row], sampling: Sampling) -> tuple[list[Row], bool]:
    """The rows, those that are to be generated with what they will take; and whether all of it is known by now."""
    found, ready = [], True
    for row in rows:
        if row.key and row.state != "done":
            timing = timed(f"samples {row.key}", lambda row=row: _expected(source, row.text, sampling), at_once=0.1)
            pending = not timing.ended.is_set()
            ready = ready and not pending
            row = replace(row, expected=timing.value, timing=pending)
        found.append(row)
    return found, ready


def _expected(source: Source, text: str, sampling: Sampling) -> Expected:
    return finish(expected_sampling(source, text, sampling))


def seconds(row: Row) -> float:
    """What a row will take; 0 where it is not known: it cannot run, and says why at once."""
    return 0.0 if row.expected is None else row.expected.seconds


def is_slow(row: Row) -> bool:
    """Whether it is left for a button of its own."""
    return seconds(row) > QUICK or (row.expected is not None and row.expected.calls is None)


def cost_words(row: Row) -> str:
    """How long a row will take, for people; "" where it is not known."""
    if row.expected is None:
        return ""
    if row.expected.calls is not None and row.expected.seconds < 1:
        return "under 1 s"
    return f"{least([row.expected])} {spoken(row.expected.seconds)}"
