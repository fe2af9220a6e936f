"""Four reasons why a learned field and the predicted one differ, each with the number that this network gives."""

from __future__ import annotations

import math

import streamlit as st
import torch

from locality.datasets import Source
from locality.fields.rows import rows
from locality.grammar import command
from locality.networks import NETWORKS
from locality.schedule import nearest_level
from locality.studies import Trained, pixel_grid
from pages._ui import cached
from pages._ui.charts import BLUE, GREY, ORANGE, figure, name_lines
from pages._ui.charts import show as show_figure
from pages._ui.choice import linked_select
from pages._ui.why.numbers import Agreed, agreed, out_of_reach, reach
from pages._ui.why.studied import choose_level, studied, study_of

_STEP = 4  # as the studies of agreement take pixels


def show(source: Source) -> None:
    """The page below its title."""
    source, studies = studied(source)
    if not studies:
        st.info(
            "No study of agreement is stored. This computes one of these images in some minutes: "
            f"`{command('agreement', *source.words)}`.",
            icon=":material/balance:",
        )
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        with st.container(width=220):
            name = linked_select("Network", list(studies), key="of", format_func=_title)
        made = studies[name]
        with st.container(width=420):
            sigma = choose_level(made)
    level, network = made.sigmas.index(sigma), cached.networks_of(source.text)[name]
    measured = made.off_centre
    plain, reliability = float(measured.plain[level, 0, 1]), float(measured.reliability[level, 1])
    found = agreed(plain, reliability, made.plan.draws, float(measured.value[level, 0, 1]))
    st.markdown(
        f"At σ = {sigma:.2g} the field that the **{_title(name)}** learned on **{source.spec.info.title}** agrees with "
        f"the prediction to **r = {found.plain:.2f}** (own pixel excluded; mean over {len(made.pixels)} pixels, fields "
        f"averaged over {made.plan.draws} noisy images). Four things keep it from 1."
    )
    _bar(found)
    left, right = st.columns(2, gap="large")
    with left:
        _draws(found, made.plan.draws)
    with right:
        _training(source, level, name, network)
    left, right = st.columns(2, gap="large")
    with left:
        _not_gaussian(found, network, sigma)
    with right:
        _receptive(source, network, sigma)


def _title(name: str) -> str:
    return NETWORKS[name].heading if name in NETWORKS else name


def _bar(found: Agreed) -> None:
    """From 0 to 1: what agrees, what the draws hide, and what the other three leave."""
    if math.isnan(found.endless) or found.plain < 0:
        return
    whole = min(found.endless, 1.0)
    parts = (
        (f"agrees: {found.plain:.2f}", found.plain, BLUE),
        (f"1 the draws: {whole - found.plain:.2f}", whole - found.plain, ORANGE),
        (f"the rest: {1 - whole:.2f}", 1 - whole, GREY),
    )
    fig = figure("Pearson r with the prediction", "", height=170)
    for title, size, ink in parts:
        fig.add_bar(
            x=[size],
            y=[""],
            orientation="h",
            name=title,
            marker={"color": ink},
            hovertemplate=f"{title}<extra></extra>",
        )
    fig.update_layout(barmode="stack")
    fig.update_xaxes(range=[0, 1])
    name_lines(fig)
    fig.update_layout(legend={"traceorder": "normal"}, margin={"l": 0, "r": 0, "t": 44, "b": 8})
    fig.update_yaxes(showticklabels=False)
    show_figure(fig, name="why_bar", alt="; ".join(title for title, _, _ in parts))


def _reason(title: str, number: str, about: str) -> None:
    st.header(title, anchor=False)
    st.markdown(f"### {number}")
    st.markdown(about)


def _draws(found: Agreed, draws: int) -> None:
    if math.isnan(found.endless):
        _reason("1 The draws", "–", "Fields of two halves of the draws do not agree: there is no field to compare yet.")
        return
    _reason(
        "1 The draws",
        f"r = {found.plain:.2f} → {min(found.endless, 1.0):.2f}",
        f"The learned field is a mean over {draws} noisy images and is itself noisy: its reliability is "
        f"{found.reliability:.2f} (fields of one half of the draws against the other half). Against a prediction "
        "without noise r falls short by the root of that. With endless draws it would be the second number.",
    )


def _training(source: Source, level: int, name: str, network: Trained) -> None:
    both = study_of(source, name, f"untrained:{name}")
    seen, count = network.manifest.get("images_seen"), source.spec.count("train")
    epochs = f", {seen / count:.1f} passes over the training set" if seen and count else ""
    learned = f"It has seen {seen:,} images{epochs}. " if seen else ""
    if (network.manifest.get("train") or {}).get("flips"):
        learned += "Half of them were mirrored, while the prediction is that of the images as they are. "
    if both is None:
        _reason("2 The training", "–", f"{learned}No study of this network before its training is stored.")
        return
    values = both.off_centre.plain[level, 0]
    which = "one seed" if both.plan.seeds == 1 else f"mean of {both.plan.seeds} seeds"
    _reason(
        "2 The training",
        f"r = {float(values[2]):.2f} → {float(values[1]):.2f}".replace("-", "−"),
        f"From the untrained network ({which}) to this one. {learned}Another seed or a longer training "
        "would end elsewhere: how much of the rest that would close is not measured here.",
    )


def _not_gaussian(found: Agreed, network: Trained, sigma: float) -> None:
    ratios = {float(at): float(ratio) for at, ratio in network.manifest.get("error_ratio", {}).items()}
    if not ratios:
        _reason("3 Images are not Gaussian", "–", "The error of this network beside Wiener's is not recorded.")
        return
    recorded = list(ratios)
    at = recorded[nearest_level(recorded, sigma)]
    shared = "" if math.isnan(found.single) else (
        f" So its field differs from image to image: what one image's field shares with every other's is "
        f"{found.single:.0%} of its variance; of a linear denoiser's, all."
    )  # fmt: skip
    side = "less" if ratios[at] < 1 else "more"
    _reason(
        "3 Images are not Gaussian",
        f"{abs(1 - ratios[at]):.0%} {side} error than Wiener",
        f"On test images at σ = {at:g}, the recorded level nearest to the chosen one. "
        "For Gaussian images no denoiser could beat $W$. "
        + ("What this one gains comes from structure beyond the covariance." if ratios[at] < 1 else
           "This one does not even reach it: it is not trained enough to tell.") + shared,
    )  # fmt: skip


def _receptive(source: Source, network: Trained, sigma: float) -> None:
    sha256 = str(network.manifest["sha256"])
    far = _reach(sha256, sigma, network)
    kind = str(network.manifest["network"]["name"])
    sees = f" ({NETWORKS[kind].sees[0].lower()}{NETWORKS[kind].sees[1:]})" if kind in NETWORKS else ""
    share = _out_of_reach(source.fingerprint, sigma, far, source)
    if far >= max(source.shape.h, source.shape.w):
        about = f"This network{sees} sees the whole image from its middle: nothing of the prediction is out of reach."
    else:
        about = f"This network{sees} sees {far} pixels each way. Weights farther away are zero whatever it learns."
    _reason("4 The receptive field", f"{share:.1%} of the prediction out of reach", about)


@st.cache_data(max_entries=64, show_spinner=False)
def _reach(sha256: str, sigma: float, _trained: Trained) -> int:
    return reach(cached.network(sha256, _trained), sigma)


@st.cache_data(max_entries=64, show_spinner=False)
def _out_of_reach(fingerprint: str, sigma: float, far: int, _source: Source) -> float:
    pixels = pixel_grid(_source.shape, _STEP)
    fields: torch.Tensor = rows(cached.wiener(fingerprint, _source), pixels, sigma).summed()[:, 0]
    return out_of_reach(fields, pixels, _source.shape, far)
