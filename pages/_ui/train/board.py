"""The trainings of this machine: the one that is watched, live, with its buttons, and the list of all."""

from __future__ import annotations

from typing import Any

import streamlit as st

from locality.datasets import Source
from locality.networks import STATE
from locality.sharing import refusal
from locality.studies import Recording, read_log, read_progress, shipped_recordings
from pages._ui.cards import verdict
from pages._ui.choice import note
from pages._ui.guard import guard
from pages._ui.timing import spoken
from pages._ui.train.form import WATCH
from pages._ui.train.moments import show_recording
from pages._ui.train.plan import Plan, plans
from pages._ui.train.runs import ACTIVE, RUNS, State, state_of
from pages._ui.train.view import ratios_of, show_view, worse_at

_POLL = 2.0  # seconds between looks at a training under way
_WORDS: dict[State, tuple[str, str]] = {
    "waiting": ("Waiting in line", "gray"),
    "running": ("Training", "blue"),
    "pausing": ("Pausing…", "orange"),
    "paused": ("Paused", "orange"),
    "cancelling": ("Cancelling…", "orange"),
    "cancelled": ("Cancelled", "gray"),
    "done": ("Finished", "green"),
    "failed": ("Failed", "red"),
}


def show(dataset: str) -> None:
    """The trainings there are, looking again by itself only while something runs; below them, or alone, a recording."""
    known = plans()
    if known:
        active = [plan.key for plan in known if state_of(plan)[0] in ACTIVE]
        st.fragment(_board, run_every=_POLL if active else None)(active)
    _recording(dataset, alone=not known)


def _recording(dataset: str, *, alone: bool) -> None:
    """A recorded training of this dataset, else of another; where there is none, what the page will show."""
    made = _recordings()
    found = next((one for one in made if one.dataset == dataset), next(iter(made), None))
    if found is None:
        if alone:
            st.info(
                "**Nothing has been trained here yet.** Choose a network and press Start: its curves, samples and "
                "field appear here as it learns; you may close the page meanwhile.",
                icon=":material/model_training:",
            )
        return
    title = Source.parse(found.dataset).spec.info.title
    st.header(f"A recorded training: {found.network.partition(':')[0]} on {title}", anchor=False)
    st.caption(
        f"{found.network}, {found.images[-1]:,} images seen in {found.minutes[-1]:.0f} min; shipped with Locality Lab. "
        "Drag the slider, or play it: a training that you start appears here in the same way."
    )
    show_recording(found)


@st.cache_resource(show_spinner=False)
def _recordings() -> list[Recording]:
    return shipped_recordings()


def _board(active: list[str]) -> None:
    known = plans()
    if active and [plan.key for plan in known if state_of(plan)[0] in ACTIVE] != active:
        st.rerun()  # the sidebar has one network more, or nothing is left to look at
    watched = _watched(known)
    if watched is not None:
        _head(watched)
        with guard():
            show_view(watched)
    if len(known) > 1:
        _list(known, watched)


def _watched(known: list[Plan]) -> Plan | None:
    """The training of the link, else the one that runs, else the newest."""
    by_key = {plan.key: plan for plan in known}
    asked = st.query_params.get(WATCH)
    if asked in by_key:
        return by_key[asked]
    if asked is not None:
        note(f"The link asks for the training “{asked[:60]}”, which is not on this machine.")
        st.query_params.pop(WATCH, None)
    running = next((plan for plan in known if state_of(plan)[0] == "running"), None)
    return running or next(iter(known), None)


def _head(plan: Plan) -> None:
    """Name, state, what can be done about it, progress."""
    state, message = state_of(plan)
    elsewhere = message == "elsewhere"
    words, colour = _state_words(plan, state)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.header(plan.name, anchor=False, width="content")
        st.badge(f"{words} in another process" if elsewhere else words, color=colour)
        st.space("stretch")
        if not elsewhere:
            _buttons(plan, state)
    st.caption(_about(plan))
    if state == "failed":
        st.error(message, icon=":material/error:")
    elif state == "waiting":
        run = RUNS.find(plan.key)
        before = 0 if run is None else RUNS.before(run)
        several = "1 training of this server is" if before == 1 else f"{before} trainings of this server are"
        st.progress(0.0, f"{several} before this one." if before else "Starting…")
    elif state != "done":
        _progress(plan, state)


def _state_words(plan: Plan, state: State) -> tuple[str, str]:
    """The state and its colour; of a finished network also where it is worse than the Wiener filter."""
    if state == "done" and worse_at(plan):
        words, colour = verdict(ratios_of(plan))
        return f"Finished, {words[0].lower()}{words[1:]}", colour
    return _WORDS[state]


def _buttons(plan: Plan, state: State) -> None:
    if refusal("train"):
        return  # visitors of a shared server look on
    if state in ("waiting", "running"):
        st.button("Pause", icon=":material/pause:", key=f"pause_{plan.key}", on_click=RUNS.pause, args=(plan,))
    if state in ("paused", "failed"):
        begun = (plan.folder / STATE).exists()
        label = "Resume" if begun else "Start"
        if st.button(label, icon=":material/play_arrow:", key=f"resume_{plan.key}", type="primary"):
            RUNS.resume(plan)
            st.rerun()
    if state in ("waiting", "running", "paused", "failed"):
        with st.popover("Cancel", icon=":material/delete:"):
            st.markdown("End this training and delete what it has learned?")
            if st.button("Delete it", key=f"cancel_{plan.key}", type="primary"):
                RUNS.cancel(plan)
                st.query_params.pop(WATCH, None)
                st.rerun()


def _about(plan: Plan) -> str:
    length = f"{plan.images:,} images" if plan.images else f"{plan.minutes:g} min"
    parts = [plan.source().text, plan.network, length]
    parts += [] if plan.first is None else [f"first {plan.first:,} training images"]
    parts += [
        {"flips": "mirrored", "ambient": f"ambient from σ = {text}"}.get(option, f"{option} {text}")
        for option, text in plan.options.items()
    ]
    return " · ".join(parts)


def _progress(plan: Plan, state: State) -> None:
    now = read_progress(plan.folder)
    fraction = float(now.get("fraction", 0.0))
    if state == "paused":
        lines = read_log(plan.folder)
        seen, seconds = (int(lines[-1]["images"]), lines[-1]["seconds"]) if lines else (0, 0.0)
        st.progress(plan.budget().fraction(seen, seconds), f"{seen:,} images seen in {spoken(seconds)} so far")
    elif not now:
        st.progress(0.0, "Starting the process…")
    elif now.get("note") != "training":
        st.progress(fraction, f"{now.get('note', '')}…")
    else:
        st.progress(fraction, _pace(plan, now, fraction))


def _pace(plan: Plan, now: dict[str, Any], fraction: float) -> str:
    left = ""
    if plan.images and now.get("rate"):
        left = f" · about {spoken((plan.images - now['images']) / now['rate'])} left"
    elif plan.minutes:
        left = f" · about {spoken(60 * plan.minutes * (1 - fraction))} left"
    return f"{now.get('images', 0):,} images seen · {now.get('rate', 0):,.0f} per second{left}"


def _list(known: list[Plan], watched: Plan | None) -> None:
    st.header("Trainings on this machine", anchor=False)
    for plan in known:
        state, _ = state_of(plan)
        words, colour = _state_words(plan, state)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.button(
                plan.name,
                key=f"watch_{plan.key}",
                type="tertiary",
                disabled=watched is not None and plan.key == watched.key,
                on_click=_watch,
                args=(plan.key,),
            )
            st.badge(words, color=colour)
            st.caption(_about(plan), width="stretch")


def _watch(key: str) -> None:
    st.query_params[WATCH] = key
