"""How long a benchmark of one's own would take here: measured when it is asked, before anything runs."""

from __future__ import annotations

import streamlit as st

from locality.datasets import Source
from locality.studies import BenchPlan, Expected, expected_bench, finish
from pages._ui.samples.jobs import spoken
from pages._ui.timing import Timing, timed

_POLL = 1.0  # seconds between looks at a measurement


def show_expected(key: str, source: Source, plan: BenchPlan) -> None:
    """What each model's missing work will take; looks again by itself until that is known."""
    ended = _timing(key, source, plan).ended.is_set()
    st.fragment(_shown, run_every=None if ended else _POLL)(key, source, plan, ended)


def _timing(key: str, source: Source, plan: BenchPlan) -> Timing:
    return timed(f"bench {key}", lambda: finish(expected_bench(source, plan)))


def _shown(key: str, source: Source, plan: BenchPlan, before: bool) -> None:
    timing = _timing(key, source, plan)
    if timing.ended.is_set() != before:
        st.rerun()  # once more, so that it stops looking
    if not timing.ended.is_set():
        st.caption("Timing the models on this machine…")
    elif timing.error:
        st.error(timing.error, icon=":material/error:")
    elif timing.value is not None:
        st.caption(expected_words(timing.value))


def expected_words(expected: dict[str, Expected]) -> str:
    """Of all models together and of each, the longest first."""
    if not expected:
        return "Nothing is left to compute: all of it is kept."
    least = "at least" if any(one.calls is None for one in expected.values()) else "about"
    each = sorted(expected.items(), key=lambda item: -item[1].seconds)
    listed = ", ".join(f"{name} {spoken(one.seconds)}" for name, one in each)
    total = spoken(sum(one.seconds for one in expected.values()))
    return f"It will take {least} **{total}** here: {listed}. Timed on this machine, as busy as it is."
