"""Run: a benchmark of one's own, cell by cell, in the line of studies of this server; what is finished is kept."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any

import streamlit as st

from locality.datasets import Source
from locality.denoisers import DENOISERS
from locality.errors import BadInput, LocalityError
from locality.sharing import refusal
from locality.store.artifact import digest
from locality.studies import Bench, BenchPlan, bench
from locality.studies.benchmark import found_bench
from pages._ui.bench.expected import show_expected
from pages._ui.cached import networks_of
from pages._ui.choice import note
from pages._ui.guard import guard
from pages._ui.work import WORKS, Work, follow, running

_USUAL = ["wiener", "pca_locality"]


def own_plan(source: Source) -> tuple[Source, BenchPlan] | None:
    """The benchmark that was asked for on this page or in the link; None before there is one."""
    text = st.query_params.get("run")
    if not text:
        return None
    try:
        return _parsed(source, text)
    except (LocalityError, ValueError) as error:
        note(f"The link's benchmark cannot be run: {error}")
        st.query_params.pop("run", None)
        return None


def found(source: Source, plan: BenchPlan) -> Bench:
    """What of it is finished."""
    return found_bench(source, plan)


def run_section(source: Source) -> None:
    """The form, and the progress of what runs."""
    st.header("Run your own", anchor=False)
    if not source.available:
        st.info(f"A run needs the images. {source.missing()}", icon=":material/hide_image:")
        return
    if why := refusal("bench"):
        st.info(why, icon=":material/groups:")
        return
    known = networks_of(source.text)
    if not known:
        st.info("No network is trained on this dataset: train one on the Train page.", icon=":material/model_training:")
        return
    asked = own_plan(source)
    with st.form("bench_form", border=False):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            with st.container(width=170):
                reference = st.selectbox("Network to explain", list(known), key="bench_reference")
            with st.container(width=420):
                models = st.multiselect("Models", list(DENOISERS), _USUAL, key="bench_models")
        entries = st.text_input(
            "More, with options",
            key="bench_entries",
            placeholder="pca_locality:tau=0.02 ls:window=7@first=1000",
            help="Separated by spaces; quote an entry that contains spaces. After @: first=N training images, steps=K, "
            "clip=false for this entry alone.",
        )
        with st.container(horizontal=True, vertical_alignment="bottom"):
            n = _number("Images", 1, 4096, 32, "bench_n")
            steps = _number("Steps", 2, 1000, 10, "bench_steps")
            seed = _number("Seed", 0, 2**31 - 1, 0, "bench_seed")
            first = _number("Training images", 0, 10**9, 0, "bench_first", help="Use only the first N; 0 takes all.")
            pressed = st.form_submit_button("Run", type="primary", icon=":material/play_arrow:")
            how_long = st.form_submit_button("How long?", icon=":material/timer:")
    if how_long or pressed:
        st.session_state.pop("bench_timed", None)
        text = ""
        with guard():
            text = _written(reference, [*models, *_split(entries)], n, steps, seed, first)
            if how_long:
                st.session_state["bench_timed"] = (source.text, text)
        if pressed and text:
            with guard():
                asked = _parsed(source, text)
                found(*asked)  # every mistake is reported before any work
                st.query_params["run"] = text
                _start(*asked)
                st.rerun()
    about, timed = st.session_state.get("bench_timed", ("", ""))
    if timed and about == source.text:  # of these images, not of those before
        with guard():
            plan = _parsed(source, timed)
            show_expected(_key(*plan), *plan)
    if asked is not None:
        _status(*asked)


def _number(label: str, low: int, high: int, value: int, key: str, **more: Any) -> int:
    with st.container(width=130):
        return int(st.number_input(label, low, high, value, key=key, **more))


def _status(source: Source, plan: BenchPlan) -> None:
    """Progress with a pause, or how far it has come with a way to go on."""
    key = _key(source, plan)
    if running(key):
        follow(key, stop="Pause")
        return
    work = WORKS.find(key)
    if work is not None and work.error:
        st.error(work.error, icon=":material/error:")
    with guard():
        so_far = found(source, plan)
        if so_far.missing:
            with st.container(horizontal=True, vertical_alignment="center"):
                if st.button("Go on", icon=":material/play_arrow:", key="bench_resume"):
                    _start(source, plan)
                    st.rerun()
                st.caption(f"{len(so_far.missing)} cells are missing; what is finished is kept.")


def _start(source: Source, plan: BenchPlan) -> None:
    WORKS.ask(Work(_key(source, plan), lambda: bench(source, plan)))


def _key(source: Source, plan: BenchPlan) -> str:
    return digest("bench_page", {"images": source.fingerprint, "plan": plan.key()})


def _split(entries: str) -> list[str]:
    """Entries as a shell takes them apart. Raises BadInput."""
    try:
        return shlex.split(entries)
    except ValueError as error:
        raise BadInput(f"“{entries[:60]}” cannot be taken apart ({error}). Close the quotation mark.") from None


def _written(reference: str, models: list[str], n: int, steps: int, seed: int, first: int) -> str:
    """The plan in the link: blanks between entries, quotes as in a shell."""
    settings = [f"reference={reference}", f"n={n}", f"steps={steps}", f"seed={seed}", f"first={first}"]
    return shlex.join([*settings, *models])


def _parsed(source: Source, text: str) -> tuple[Source, BenchPlan]:
    """The plan of a link. Raises BadInput, UnknownName, ValueError."""
    settings, models = {}, []
    for part in shlex.split(text):
        name, equals, value = part.partition("=")
        if equals and name in ("reference", "n", "steps", "seed", "first"):
            settings[name] = value
        else:
            models.append(part)
    count, steps, seed, first = (int(settings.get(name, usual)) for name, usual in
                                 (("n", 32), ("steps", 10), ("seed", 0), ("first", 0)))  # fmt: skip
    plan = BenchPlan(reference=settings.get("reference", "unet"), models=tuple(models) or ("wiener",), count=count,
                     steps=steps, seed=seed)  # fmt: skip
    return (replace(source, first=first) if first else source), plan
