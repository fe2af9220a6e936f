"""Where a model explains least: the images of the lowest R2, by noise level beside the mean of all."""

from __future__ import annotations

import math

import streamlit as st

from locality.studies import Bench
from locality.studies.benchmark import METRICS
from pages._ui.bench.names import plain

WORST = 5  # images in the table


def least(made: Bench, model: str, count: int | None = None) -> list[int]:
    """Its images (of the first `count`) from the lowest R2 final up; those without one, constant ones, are left out."""
    values = made.values(model, "r2_final")[:count].tolist()
    return sorted((i for i, value in enumerate(values) if math.isfinite(value)), key=values.__getitem__)


def show_misses(made: Bench, model: str) -> None:
    """A fold with the table; nothing of what has no R2: the network itself and the held-out images."""
    if made.result(model).kind in ("reference", "control") or len(places := least(made, model)) < 2:
        return
    worst = places[:WORST]
    with st.expander(f"The {len(worst)} images it explains least", icon=":material/trending_down:"):
        st.table(misses(made, model, worst), hide_index=True)
        st.caption(
            f"Of {len(places)} images; number k is drawn from the k-th noise, as in the pictures above. Below R² "
            f"final: {METRICS['r2_trajectory'].title} of {plain(made, model)} by noise level, of the same noisy image."
        )


def misses(made: Bench, model: str, places: list[int]) -> list[dict[str, str]]:
    """R2 final of some images, then R2 on-trajectory by noise level, and the mean of all."""
    rows = []
    for sigma in (None, *made.levels(model, "r2_trajectory")):
        metric = "r2_final" if sigma is None else "r2_trajectory"
        values, title = made.values(model, metric, sigma), "R² final" if sigma is None else f"σ = {sigma:.3g}"
        if len(values):
            row = {"": title} | {f"Image {i + 1}": _text(float(values[i])) for i in places}
            rows.append(row | {"Mean of all": _text(made.summary(model, metric, sigma).mean)})
    return rows


def _text(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "–"
