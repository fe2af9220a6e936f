"""Which study the page reads: of these images or of others that have one, and at which of its noise levels."""

from __future__ import annotations

from contextlib import suppress

import streamlit as st

from locality.datasets import Source
from locality.errors import LocalityError
from locality.schedule import nearest_level
from locality.store import default_store
from locality.studies import Agreement, found_agreement
from pages._ui import cached
from pages._ui.looking import SNAP, follow_sigma, share_chosen, share_sigma, shared_sigma


def studied(source: Source) -> tuple[Source, dict[str, Agreement]]:
    """These images and the study of each of their networks; another set's, which is said here, where none has one."""
    stored = [str(manifest["about"]["dataset"]) for manifest in default_store().shipped("agreement")]
    for text in dict.fromkeys([source.text, *sorted(stored, key=lambda one: one != "fashion_mnist")]):
        other = source if text == source.text else cached.source(text)
        studies = {name: made for name in cached.networks_of(text) if (made := study_of(other, name))}
        if studies:
            if other is not source:
                words = f"No study of {source.text} is stored: these are the numbers of {other.spec.info.title}."
                st.info(words, icon=":material/balance:")
            return other, studies
    return source, {}


def study_of(source: Source, *names: str) -> Agreement | None:
    """The kept study of the prediction and these networks, in this order, if there is one."""
    try:
        return found_agreement(source, ["wiener", *names])
    except LocalityError:
        return None


def choose_level(made: Agreement) -> float:
    """One of the study's noise levels, at first the one nearest to that of the link or of the page before."""
    levels = list(made.sigmas)
    if "why_sigma" not in st.session_state:
        st.session_state["why_sigma"] = levels[nearest_level(levels, 1.0)]
        with suppress(KeyError, ValueError):
            share_sigma(float(st.query_params["sigma"]))
    follow_sigma("why_sigma", levels)
    chosen = st.select_slider(
        "Noise level σ, of those that were studied",
        levels,
        key="why_sigma",
        format_func=lambda one: f"{one:.2g}",
        on_change=share_chosen,
        args=("why_sigma",),
        persist_state="session",
    )
    if abs(chosen / (asked := shared_sigma(chosen)) - 1) > SNAP:
        st.caption(f"Showing the nearest studied level: σ = {chosen:.3g} for {asked:.3g}.")
    st.query_params["sigma"] = f"{chosen:.6g}"
    return float(chosen)
