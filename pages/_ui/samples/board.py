"""The lower part of the page: progress, the grid, what decided the clicked pixel, downloads."""

from __future__ import annotations

import time

import streamlit as st

from locality.datasets import Source
from locality.store import digest
from pages._ui.guard import guard
from pages._ui.samples.choice import Asked
from pages._ui.samples.evidence import show_evidence
from pages._ui.samples.export import offer_downloads
from pages._ui.samples.jobs import JOBS, Drawing, Job
from pages._ui.samples.mount import grid
from pages._ui.samples.pick import current_pick
from pages._ui.samples.rows import Row, find_rows, joined

_POLL = 0.5  # seconds between looks at a generation under way


def show(source: Source, asked: Asked) -> None:
    """Everything below the controls; looks again by itself only while something runs."""
    if not asked.texts:
        st.info("Choose at least one model above.")
        return
    job = JOBS.find(_key(find_rows(source, asked.texts, asked.sampling)))
    running = job is not None and not job.ended.is_set()
    st.fragment(_board, run_every=_POLL if running else None)(source, asked, running)


def _board(source: Source, asked: Asked, running: bool) -> None:
    rows = find_rows(source, asked.texts, asked.sampling)
    key = _key(rows)
    job = JOBS.find(key)
    if job is not None and running:
        if job.ended.is_set():
            st.rerun()  # the whole page once more, so that it stops looking
        job.watched = time.monotonic()
        _progress(job)
    else:
        _offer(source, asked, rows, job, key)
    rows = [joined(row, job) for row in rows]
    if not any(row.drawn or row.error or row.state in ("waiting", "running") for row in rows):
        st.info(
            "No samples yet. Generate starts every model from the same noise and removes it step by step: one row per "
            "model, one column per noise. Finished samples are cached; this link reopens them.",
            icon=":material/grid_view:",
        )
        return
    pick = current_pick(source, asked.sampling, rows)
    with guard():
        grid(source, rows, asked.sampling, None if pick is None else pick.numbers(rows), key)
        show_evidence(source, asked.sampling, rows, pick)
        offer_downloads(source, asked.sampling, rows)


def _key(rows: list[Row]) -> str:
    """What a generation is known by: two sessions that ask for the same share it."""
    return digest("samples_page", {"rows": [row.key for row in rows]})


def _offer(source: Source, asked: Asked, rows: list[Row], job: Job | None, key: str) -> None:
    """The button, and what a press would do."""
    missing = [row for row in rows if row.key and row.state != "done"]
    unsearched = source.available and any(row.state == "done" and row.nearest is None for row in rows)
    ready = bool(missing or unsearched)
    words = "These images are cached and shown; change a setting to generate others."
    if missing:
        words = f"Not computed yet: {', '.join(row.text for row in missing)}."
    if job is not None and job.state == "cancelled" and ready:
        words = f"Cancelled. What was finished is kept. {words}"
    elif job is not None and job.error:
        words = job.error
    with st.container(horizontal=True, vertical_alignment="center"):
        label = "Find nearest training images" if unsearched and not missing else "Generate"
        if st.button(label, type="primary", icon=":material/play_arrow:", disabled=not ready, key="generate"):
            drawings = [Drawing(row.text, row.key) for row in rows if row.key]
            JOBS.ask(Job(key, source, asked.sampling, drawings))
            st.rerun()
        st.caption(words, width="stretch")


def _progress(job: Job) -> None:
    before = JOBS.before(job)
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Cancel", icon=":material/stop:", key="cancel", disabled=job.stop.is_set()):
            job.stop.set()
        if job.state == "waiting" and before:
            several = "1 generation of this server is" if before == 1 else f"{before} generations of this server are"
            st.progress(0.0, f"Waiting in line: {several} before yours.")
        else:
            st.progress(job.fraction, "Cancelling…" if job.stop.is_set() else job.doing)
