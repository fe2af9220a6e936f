"""The lower part of the page: progress, the grid, what decided the clicked pixel, downloads."""

from __future__ import annotations

import time

import streamlit as st

from locality.datasets import Source
from pages._ui.guard import guard
from pages._ui.samples.choice import Asked
from pages._ui.samples.evidence import show_evidence
from pages._ui.samples.export import offer_downloads
from pages._ui.samples.jobs import JOBS, Job
from pages._ui.samples.mount import grid
from pages._ui.samples.offer import LANES, job_key, offer, page_key
from pages._ui.samples.pace import with_costs
from pages._ui.samples.pick import current_pick
from pages._ui.samples.rows import Row, find_rows, joined

_POLL = 0.5  # seconds between looks at a generation under way


def show(source: Source, asked: Asked) -> None:
    """Everything below the controls; looks again by itself only while something runs or is being timed."""
    if not asked.texts:
        st.info("Choose at least one model above.")
        return
    rows = find_rows(source, asked.texts, asked.sampling)
    active = [job.key for job in _jobs(rows) if not job.ended.is_set()]
    timing = not active and not with_costs(source, rows, asked.sampling)[1]
    st.fragment(_board, run_every=_POLL if active or timing else None)(source, asked, active, timing)


def _board(source: Source, asked: Asked, active: list[str], timing: bool) -> None:
    rows = find_rows(source, asked.texts, asked.sampling)
    jobs = _jobs(rows)
    running = [job for job in jobs if not job.ended.is_set()]
    if [job.key for job in running] != active:
        st.rerun()  # the whole page once more: it stops looking when all have ended
    if running:
        for job in running:
            job.watched = time.monotonic()
        _progress(running)
    else:
        rows, ready = with_costs(source, rows, asked.sampling)
        if timing and ready:
            st.rerun()
        offer(source, asked.sampling, rows, jobs)
    for job in jobs:
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
        grid(source, rows, asked.sampling, None if pick is None else pick.numbers(rows), page_key(rows))
        show_evidence(source, asked.sampling, rows, pick)
        offer_downloads(source, asked.sampling, rows)


def _jobs(rows: list[Row]) -> list[Job]:
    """The generations of these rows, the quick models' first."""
    found = (JOBS.find(job_key(rows, lane)) for lane in LANES)
    return [job for job in found if job is not None]


def _progress(running: list[Job]) -> None:
    """The job that is served, and a button that ends all of them."""
    job, before = running[0], JOBS.before(running[0])
    with st.container(horizontal=True, vertical_alignment="center"):
        able = JOBS.may_end(job) and not job.stop.is_set()
        if st.button("Cancel", icon=":material/stop:", key="cancel", disabled=not able):
            for one in running:
                if JOBS.give_up(one):
                    one.stop.set()
        if job.state == "waiting" and before:
            several = "1 generation of this server is" if before == 1 else f"{before} generations of this server are"
            st.progress(0.0, f"Waiting in line: {several} before yours.")
        else:
            st.progress(job.fraction, "Cancelling…" if job.stop.is_set() else job.doing)
