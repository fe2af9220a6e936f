"""The controls of a new training: network, length, what it sees; its command and how long it will take."""

from __future__ import annotations

from dataclasses import fields

import streamlit as st

from locality.datasets import Source
from locality.grammar import read, value_text, write
from locality.networks import NETWORKS, NetworkSpec, TrainSpec, parameter_count
from locality.sharing import refusal
from pages._ui.choice import offer_set
from pages._ui.controls import option, start_option
from pages._ui.guard import guard
from pages._ui.timing import Timing, spoken, until_known
from pages._ui.train.pace import pace
from pages._ui.train.plan import Plan, free_name
from pages._ui.train.runs import RUNS

WATCH = "watch"  # name in the address bar
_PREFIX = "training"
_VISIBLE = ("flips", "rate", "ambient")
_LARGE = 20_000_000  # values beyond which not even one step is tried on the server


def new_training(source: Source) -> None:
    """Draw the controls; Start puts the training in the line."""
    if why := refusal("train"):
        st.info(why, icon=":material/groups:")
        return
    if not source.available:
        st.info(
            f"Training needs the images, and those of {source.spec.info.title} are not on this machine. "
            f"{source.missing()}",
            icon=":material/hide_image:",
        )
        offer_set("faces")  # which is always there
        return
    with guard(), st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            name, preset = _kind()
            images, minutes = _length()
            called = st.container(width=130)
            start = st.container(width="content")
        with st.container(horizontal=True, vertical_alignment="center"):
            network, spec, count = _network(source, name, preset)
            options, first = _options(source)
            command = st.popover("As a command", icon=":material/terminal:")
        wish = free_name(source.text, read(network)[0])
        if st.session_state.pop("train_started", False):
            st.session_state["train_name"] = ""  # the next one needs another
        with called:
            given = st.text_input("Name", key="train_name", placeholder=wish, help="Shown in the network list.")
        plan = Plan(given.strip() or wish, source.text, network, options, images, minutes, first)
        command.code(plan.command(), "bash", wrap_lines=True)
        with start:
            pressed = st.button("Start", type="primary", icon=":material/play_arrow:", key="train_start")
        if pressed:
            RUNS.start(plan)
            st.query_params[WATCH] = plan.key
            st.session_state["train_started"] = True
            st.rerun()
        _estimate(plan, spec, source, count)


def _kind() -> tuple[str, str]:
    """The network and its size, by name."""
    st.session_state.setdefault("train_network", "unet")
    name = st.selectbox(
        "Network",
        list(NETWORKS),
        key="train_network",
        format_func=lambda one: NETWORKS[one].heading,
        persist_state="session",
        width=125,
    )
    presets = ["small", *NETWORKS[name].presets]
    if len(presets) == 1:
        return name, "small"
    key = f"train_{name}_preset"
    chosen = st.segmented_control("Size", presets, default="small", required=True, key=key, format_func=_titled)
    return name, str(chosen)


def _network(source: Source, name: str, preset: str) -> tuple[str, NetworkSpec, int]:
    """The network as text, checked against the images, and how many values it has."""
    cls, options = NETWORKS[name], {} if preset == "small" else {"preset": preset}
    with st.popover("Architecture", icon=":material/account_tree:"):
        st.caption(_about(cls))
        changed = _architecture(cls, f"train_{name}_{preset}", cls.parse(options))
    text = write(name, {**options, **changed})
    spec = NETWORKS.parse(text)
    return text, spec, parameter_count(spec, source.shape)


def _architecture(cls: type[NetworkSpec], prefix: str, base: NetworkSpec) -> dict[str, str]:
    """Every field of a network; those that differ from its preset, as text."""
    changed = {}
    for field in fields(cls):
        usual = value_text(getattr(base, field.name))
        start_option(cls, field.name, prefix=prefix, text=usual)
        text = option(cls, field.name, prefix=prefix)
        text = value_text(field.default) if text is None else text
        changed |= {} if text == usual else {field.name: text}
    return changed


def _about(cls: type[NetworkSpec]) -> str:
    return (cls.__doc__ or "").strip().partition("\n")[0]


def _titled(preset: str) -> str:
    return preset.replace("paper28", "paper, 28 px").capitalize()


def _length() -> tuple[int | None, float | None]:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", width="content"):
        unit = st.session_state.get("train_unit", "minutes")  # drawn on the right of what it changes
        if unit == "images":
            value = st.number_input("Length", 1, 10**9, 1_000_000, step=100_000, key="train_images", width=110)
        else:
            value = st.number_input("Length", 0.1, 1e4, 20.0, step=5.0, format="%g", key="train_minutes", width=85)
        st.segmented_control(
            "Unit", ("minutes", "images"), default="minutes", required=True, key="train_unit", label_visibility="hidden"
        )
    return (int(value), None) if unit == "images" else (None, float(value))


def _options(source: Source) -> tuple[dict[str, str], int | None]:
    """Options of the training that differ from the defaults, as text, and how many images it may see."""
    found: dict[str, str | None] = {}
    for field in fields(TrainSpec):
        start_option(TrainSpec, field.name, prefix=_PREFIX)
    with st.popover("Training options", icon=":material/tune:"):
        found["flips"] = option(TrainSpec, "flips", prefix=_PREFIX, label="Mirror half of the images")
        found["rate"] = option(TrainSpec, "rate", prefix=_PREFIX, label="Learning rate")
        found["ambient"] = option(TrainSpec, "ambient", prefix=_PREFIX, label="Ambient σ", help=_AMBIENT)
        size = len(source.train)
        first = st.number_input("Training images", 1, size, size, key=f"train_first_{source.text}", help=_FIRST)
        for field in fields(TrainSpec):
            if field.name not in _VISIBLE:
                found[field.name] = option(TrainSpec, field.name, prefix=_PREFIX)
    return {name: text for name, text in found.items() if text is not None}, None if first == size else int(first)


_AMBIENT = (
    "Against memorisation (Shah et al. 2025): from this σ up, the network sees only one noisy copy of each image, "
    "noised once at this level; below it, the clean images. 0: off. Try 0.4 with few training images."
)
_FIRST = "Use only the first N: with few images a network memorises, and the ambient option matters."


def _estimate(plan: Plan, spec: NetworkSpec, source: Source, count: int) -> None:
    """How far the length goes, from real steps on this machine as busy as it is."""
    size = f"{_millions(count)} parameters"
    if count > _LARGE:
        st.caption(f"{size} are slow without a GPU: the pace is shown once it trains.")
    else:
        until_known(lambda: pace(spec, plan.train(), source.shape), lambda timing: _timed(plan, source, size, timing))


def _timed(plan: Plan, source: Source, size: str, timing: Timing) -> None:
    if not timing.ended.is_set():
        st.caption(f"{size}. Timing a few steps…")
    elif timing.value is not None:
        st.caption(f"{size}. " + _words(plan, timing.value, plan.first or len(source.train), len(RUNS.active())))


def _words(plan: Plan, speed: float, size: int, before: int) -> str:
    images = plan.images or 60 * (plan.minutes or 0) * speed
    rounds = images / size
    often = f"each training image {rounds:,.1f} times" if rounds >= 0.1 else "a small part of the training images once"
    words = f"About **{_rounded(images)} images** at {_rounded(speed)} per second, {often}."
    if plan.images:
        words = f"About **{spoken(images / speed)}** at {_rounded(speed)} images per second, {often}."
    words += " Timed just now, with this machine as busy as it is."
    return words + (f" It waits for {before} other{'s' if before > 1 else ''}." if before else "")


def _millions(count: int) -> str:
    return f"{count / 1e6:.1f} million" if count >= 10**5 else f"{count:,}"


def _rounded(value: float) -> str:
    """Two digits and a unit: an estimate."""
    for size, unit in ((1e9, " billion"), (1e6, " million")):
        if value >= size:
            return f"{value / size:.2g}{unit}"
    return f"{float(f'{value:.2g}'):,.0f}"
