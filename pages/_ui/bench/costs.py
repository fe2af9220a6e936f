"""How time and memory of a step grow with training images, values of an image, and images at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from locality.studies import Costs, shipped_costs
from pages._ui.architectures.entries import COLOURS
from pages._ui.charts import figure, name_lines, show

_AXES = {"N": "Training images N", "d": "Dimension d (values per image)", "batch": "Batch size"}
_QUANTITIES = {"seconds": ("Seconds per step", 1.0), "bytes": ("Working memory, MB", 1e-6)}


def show_costs(dataset: str) -> None:
    """Curves on logarithmic axes with the fitted exponents; what comes with the repository."""
    made = _shipped(dataset)
    if made is None:
        return
    st.header("What does a step cost?", anchor=False)
    quantity = st.segmented_control(
        "Cost",
        list(_QUANTITIES),
        default="seconds",
        required=True,
        key="costs_of",
        format_func=lambda q: _QUANTITIES[q][0],
    )
    st.caption(
        f"{made.dataset}: one denoising step after the fit, {made.plan.threads} processor thread"
        f"{'s' if made.plan.threads > 1 else ''}; along each axis the other two stay at {made.plan.base_images:,} "
        f"training images, full resolution and a batch of {made.plan.base_batch}. {' '.join(made.notes)}"
    )
    exponents = {(one["model"], one["axis"]): one for one in made.exponents() if one["quantity"] == quantity}
    for column, (axis, title) in zip(st.columns(3, gap="medium"), _AXES.items(), strict=True):
        with column:
            _curves([point for point in made.points if point["axis"] == axis], axis, title, str(quantity), exponents)


@st.cache_resource(show_spinner=False)
def _shipped(dataset: str) -> Costs | None:
    return shipped_costs(dataset)


def _curves(
    points: Sequence[dict[str, Any]],
    axis: str,
    title: str,
    quantity: str,
    exponents: dict[tuple[str, str], dict[str, Any]],
) -> None:
    label, scale = _QUANTITIES[quantity]
    fig = figure(title, label, log=True, height=360)
    rows = []
    for model, ink in zip(dict.fromkeys(point["model"] for point in points), COLOURS * 2, strict=False):
        mine = [point for point in points if point["model"] == model and point[quantity]]
        fig.add_scatter(
            x=[point[axis] for point in mine],
            y=[point[quantity] * scale for point in mine],
            mode="lines+markers",
            name=model,
            line={"color": ink, "width": 2},
            hovertemplate=f"{model}: %{{y:.3g}} at %{{x:,}}<extra></extra>",
        )
        rows.append({"Model": model, "Exponent": _reported(exponents.get((model, axis)))})
    name_lines(fig)
    show(fig, name=f"costs_{quantity}_{axis}", alt=f"{label} against {title}, one line per model")
    st.table(rows, hide_index=True)


def _reported(fit: dict[str, Any] | None) -> str:
    if fit is None or fit["exponent"] is None:
        return "–"
    return f"{fit['exponent']:.2f}" + ("" if fit["stderr"] is None else f" ± {fit['stderr']:.2f}")
