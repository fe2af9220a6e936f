"""A training as it learns: its moments, its loss, and for a finished one how good it is and where to go with it."""

from __future__ import annotations

import plotly.graph_objects as go
import streamlit as st

from locality.grammar import command
from locality.networks import MANIFEST, load_manifest
from locality.studies import read_log, read_preview
from pages._ui import charts
from pages._ui.train.moments import show_preview
from pages._ui.train.plan import Plan


def show_view(plan: Plan) -> None:
    """Fields, errors, samples and loss. Raises BadInput (a damaged preview)."""
    lines = read_log(plan.folder)
    preview = read_preview(plan.folder)
    if not lines and preview is None:
        st.caption("Curves, samples and the field appear here once the first images are learned from.")
        return
    if (plan.folder / MANIFEST).exists():
        _finished(plan)
    if preview is not None and preview.frames:
        show_preview(plan.key, preview, lines)
    with st.expander("Loss of the training batches"):
        _losses(plan, lines)


def _losses(plan: Plan, lines: list[dict[str, float]]) -> None:
    fig = charts.figure("Images seen", "Weighted squared error", height=230)
    x, y = [line["images"] for line in lines], [line["loss"] for line in lines]
    fig.add_trace(go.Scatter(x=x, y=y, mode="lines", line={"color": charts.GREY, "width": 1}, opacity=0.6))
    fig.add_trace(go.Scatter(x=x, y=smoothed(y), mode="lines", line={"color": charts.BLUE, "width": 2}))
    fig.update_traces(hovertemplate="%{x:,} images: %{y:.3f}<extra></extra>")
    fig.update_layout(uirevision=plan.key)
    charts.show(fig, name=f"loss_{plan.key}", alt=_alt("loss", y))


def smoothed(values: list[float]) -> list[float]:
    """Each value's mean with its neighbours, a fortieth of the curve to either side where it is long enough."""
    reach = len(values) // 40
    found = []
    for i in range(len(values)):
        near = values[max(i - reach, 0) : i + reach + 1]
        found.append(sum(near) / len(near))
    return found


def _alt(what: str, values: list[float]) -> str:
    return f"Curve of the {what}" + (f", from {values[0]:.3f} to {values[-1]:.3f}" if values else "")


def ratios_of(plan: Plan) -> dict[str, float]:
    """A finished network's test error over the Wiener filter's by noise level; {} before it is finished."""
    if not (plan.folder / MANIFEST).exists():
        return {}
    return dict(load_manifest(plan.folder).get("error_ratio", {}))


def worse_at(plan: Plan) -> list[str]:
    """Noise levels at which a finished network denoises no better than the Wiener filter; [] for none."""
    return [sigma for sigma, ratio in ratios_of(plan).items() if ratio >= 1]


def _finished(plan: Plan) -> None:
    """What the network is like, and where to go with it."""
    facts, worse = load_manifest(plan.folder), worse_at(plan)
    ratios = facts.get("error_ratio", {})
    seen = f"{facts['images_seen']:,} images seen in {facts['minutes']:g} min, {facts['parameters'] / 1e6:.2g} million"
    if worse:
        where = "every noise level" if len(worse) == len(ratios) else f"σ = {', '.join(worse)}"
        st.warning(
            f"**{plan.name}** is **worse than the Wiener filter** at {where}: it has not learned enough for its fields "
            f"there to mean much. Train it for longer. Every page lists it: {seen} parameters.",
            icon=":material/trending_down:",
        )
    else:
        st.markdown(f"Ready on every page as **{plan.name}**, better than the Wiener filter: {seen} parameters.")
    shown = {"σ": list(ratios), "test MSE ÷ Wiener MSE": [f"{ratio:.3f}" for ratio in ratios.values()]}
    with st.expander("Errors at every noise level; does it copy its training images?"):
        st.table(shown, hide_index=True)
        st.caption("Share of its samples that copy a training image, beside the same share of held-out images:")
        st.code(command("memorisation", *plan.source().words, "--model", plan.name), "bash", wrap_lines=True)
