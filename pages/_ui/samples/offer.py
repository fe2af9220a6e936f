"""The buttons that generate: what each model will take is said first, the quick ones run first, slow ones if asked."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from locality.datasets import Source
from locality.store import digest
from locality.studies import Sampling
from pages._ui.samples.jobs import JOBS, Drawing, Job
from pages._ui.samples.pace import QUICK, cost_words, is_slow, seconds
from pages._ui.samples.rows import Row
from pages._ui.timing import least, spoken

LANES = ("short", "long")


def page_key(rows: Sequence[Row]) -> str:
    """What these rows are known by."""
    return digest("samples_page", {"rows": [row.key for row in rows]})


def job_key(rows: Sequence[Row], lane: str) -> str:
    """What a generation of these rows is known by: two sessions that ask for the same share it."""
    return digest("samples_job", {"rows": [row.key for row in rows], "lane": lane})


def offer(source: Source, sampling: Sampling, rows: Sequence[Row], jobs: Sequence[Job]) -> None:
    """Buttons, and what a press would do and take."""
    missing = [row for row in rows if row.key and row.state != "done"]
    known = [row for row in missing if not row.timing]
    slow = [row for row in known if is_slow(row)]
    quick = sorted((row for row in known if row not in slow), key=seconds)
    unsearched = [row for row in rows if source.available and row.state == "done" and row.nearest is None]
    words = _before(jobs) + _words(rows, missing, quick, slow)
    with st.container(horizontal=True, vertical_alignment="center"):
        label = "Find nearest training images" if unsearched and not missing else "Generate"
        able = bool(quick) or (bool(unsearched) and not missing)
        if st.button(label, type="primary", icon=":material/play_arrow:", disabled=not able, key="generate"):
            _ask(source, sampling, rows, [*unsearched, *quick], [])
        if slow and len(known) == len(missing):
            total = sum(seconds(row) for row in missing)
            several = "the slow model" if len(slow) == 1 else "slow models"
            label = f"With {several}, {least(row.expected for row in slow if row.expected)} {spoken(total)}"
            if st.button(label, icon=":material/hourglass_top:", key="generate_slow"):
                _ask(source, sampling, rows, [*unsearched, *quick], slow)
        st.caption(words, width="stretch")


def _ask(source: Source, sampling: Sampling, rows: Sequence[Row], quick: list[Row], slow: list[Row]) -> None:
    """Put what is asked for in its lane; slow models begin when the quick ones have ended."""
    first = None
    for lane, some in zip(LANES, (quick, slow), strict=True):
        if some:
            drawings = [Drawing(row.text, row.key) for row in sorted(some, key=seconds)]
            first = JOBS.ask(Job(job_key(rows, lane), source, sampling, drawings, lane, first))
    st.rerun()


def _words(rows: Sequence[Row], missing: Sequence[Row], quick: Sequence[Row], slow: Sequence[Row]) -> str:
    if not missing and any(row.shipped for row in rows):
        return "Samples that come with Locality Lab, rounded to 8 bits; change a setting to generate others."
    if not missing:
        return "These images are cached and shown; change a setting to generate others."
    parts = []
    if quick:
        each = ", ".join(f"{row.text} {words}" if (words := cost_words(row)) else row.text for row in quick)
        total = sum(seconds(row) for row in quick)
        parts.append(f"Not computed yet: {each}{f'; together about {spoken(total)}' if len(quick) > 1 else ''}.")
    if slow:
        each = ", ".join(f"{row.text} {cost_words(row)}" for row in slow)
        parts.append(f"Slow here (over {spoken(QUICK)}), so only if you ask: {each}.")
    parts += ["Timed on this machine, as busy as it is."] if parts else []
    pending = ", ".join(row.text for row in missing if row.timing)
    return " ".join([*parts, *([f"Timing {pending} on this machine…"] if pending else [])])


def _before(jobs: Sequence[Job]) -> str:
    """What became of what was asked last."""
    if any(job.state == "cancelled" for job in jobs):
        return "Cancelled. What was finished is kept. "
    return next((f"{job.error} " for job in jobs if job.error), "")
