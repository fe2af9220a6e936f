"""Train on this: small networks on the edited images, in the line of trainings of this server."""

from __future__ import annotations

import streamlit as st

from locality.datasets import Source
from locality.errors import LocalityError
from locality.networks import NETWORKS, parameter_count
from locality.sharing import refusal
from locality.studies import read_progress
from locality.types import ImageShape
from pages._ui.choice import offer_set
from pages._ui.edit.state import Asked
from pages._ui.guard import guard
from pages._ui.train.plan import Plan, free_name, plans
from pages._ui.train.runs import ACTIVE, RUNS, state_of

_POLL = 2.0
_WORDS = {"waiting": "waits in line", "pausing": "is pausing", "cancelling": "is being cancelled"}


def learn(source: Source, asked: Asked) -> None:
    """Draw the controls and the trainings on these images that wait or run."""
    st.header("Train on this", anchor=False)
    after = asked.after(source)
    if not after.available:
        st.info(
            f"Training needs the images, which are not on this machine. {after.missing()}", icon=":material/hide_image:"
        )
        offer_set()  # with networks that were trained on its edited images
        return
    if why := refusal("train"):
        st.info(why, icon=":material/groups:")
        return
    st.markdown(
        "Does a network find the pattern that the statistics predict? It sees the edited images and nothing else: no "
        "covariance, no mask."
    )
    possible = _possible(source.shape)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        with st.container(width=330):
            chosen = st.multiselect(
                "Networks",
                list(possible),
                list(possible)[:1],
                key="edit_networks",
                format_func=lambda name: NETWORKS[name].heading,
            )
        with st.container(width=130):
            minutes = st.number_input("Minutes each", 0.1, 600.0, 5.0, 1.0, format="%g", key="edit_minutes")
        start = st.button("Train on this", type="primary", icon=":material/play_arrow:", disabled=not chosen)
    if start:
        with guard():
            for name in chosen:
                RUNS.start(Plan(free_name(after.text, name), after.text, possible[name], {}, None, float(minutes)))
            st.rerun()
    _trainings(after)


@st.cache_data(max_entries=16, show_spinner=False)
def _possible(shape: ImageShape) -> dict[str, str]:
    """The networks that take images of a shape, each in the size that learns in minutes on a laptop."""
    found = {}
    for name in NETWORKS.listed():
        text = ":".join(filter(None, (name, NETWORKS[name].quick)))
        try:
            parameter_count(NETWORKS.parse(text), shape)
        except (LocalityError, ValueError, RuntimeError):
            continue
        found[name] = text
    return found


def _trainings(after: Source) -> None:
    """Trainings on these images, live; the whole page again when one has ended."""
    mine = [plan for plan in plans() if plan.source().text == after.text]
    active = [plan.key for plan in mine if state_of(plan)[0] in ACTIVE]
    if mine:
        st.fragment(_lines, run_every=_POLL if active else None)(after.text, active)


def _lines(text: str, active: list[str]) -> None:
    mine = [plan for plan in plans() if plan.source().text == text]
    if active and [plan.key for plan in mine if state_of(plan)[0] in ACTIVE] != active:
        st.rerun()
    for plan in mine:
        state, message = state_of(plan)
        now = read_progress(plan.folder)
        with st.container(horizontal=True, vertical_alignment="center"):
            if state == "running":
                st.progress(float(now.get("fraction", 0.0)), f"**{plan.name}**: {now.get('note', 'starting')}")
                st.button(
                    "Pause", icon=":material/pause:", key=f"edit_pause_{plan.key}", on_click=RUNS.pause, args=(plan,)
                )
            elif state == "failed":
                st.error(f"{plan.name}: {message}", icon=":material/error:")
            elif state != "done":
                st.caption(f"{plan.name} {_WORDS.get(state, f'is {state}')}.")
    if active or any(state_of(plan)[0] != "done" for plan in mine):
        st.page_link("pages/explore/05_Train.py", label="Curves, samples, pause and cancel on the Train page")
