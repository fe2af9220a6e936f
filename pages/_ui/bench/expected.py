"""How long a benchmark of one's own would take here: measured when it is asked, before anything runs."""

from __future__ import annotations

import streamlit as st

from locality.datasets import Source
from locality.studies import BenchPlan, Expected, expected_bench, finish
from pages._ui.timing import Timing, least, spoken, timed, until_known


def show_expected(key: str, source: Source, plan: BenchPlan) -> None:
    """What each model's missing work will take; looks again by itself until that is known."""
    until_known(lambda: timed(f"bench {key}", lambda: finish(expected_bench(source, plan))), _shown)


def _shown(timing: Timing) -> None:
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
    each = sorted(expected.items(), key=lambda item: -item[1].seconds)
    listed = ", ".join(f"{name} {spoken(one.seconds)}" for name, one in each)
    total = f"{least(expected.values())} **{spoken(sum(one.seconds for one in expected.values()))}**"
    return f"It will take {total} here: {listed}. Timed on this machine, as busy as it is."
