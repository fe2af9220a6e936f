"""A training as it learns: curves, the field it has beside the one predicted, and samples from fixed noise."""

from __future__ import annotations

import plotly.graph_objects as go
import streamlit as st
import torch

from locality.fields.jacobian import common_limit, compare
from locality.grammar import command
from locality.networks import HELD_OUT_SIGMA, MANIFEST, load_manifest
from locality.studies import Frame, Preview, read_log, read_preview
from pages._ui import charts
from pages._ui.images import Picture, Tile, grid, photo, signed
from pages._ui.train.plan import Plan

_STRIP = 8  # moments shown of how the field came about


def show_view(plan: Plan) -> None:
    """Curves, fields, samples, and for a finished network what it is good for. Raises BadInput (a damaged preview)."""
    lines = read_log(plan.folder)
    preview = read_preview(plan.folder)
    if not lines and preview is None:
        st.caption("Curves, samples and the field appear here once the first images are learned from.")
        return
    if (plan.folder / MANIFEST).exists():
        _finished(plan)
    left, right = st.columns(2, gap="medium")
    with left:
        _errors(plan, lines)
    with right:
        _losses(plan, lines)
    if preview is not None and preview.frames:
        _now(preview)
        _so_far(preview)


def _errors(plan: Plan, lines: list[dict[str, float]]) -> None:
    """Held-out error over Wiener's; each measurement once."""
    found = [line for line in lines if "held_out_ratio" in line]
    points = {line["held_out_ratio"]: line["images"] for line in reversed(found)}  # the first line that has it
    st.markdown(f"**Test MSE ÷ Wiener MSE** at σ = {HELD_OUT_SIGMA:g}" + _latest(found, "held_out_ratio"))
    fig = charts.figure("Images seen", "Ratio (log)", height=230)
    x, y = list(points.values())[::-1], list(points)[::-1]
    fig.add_trace(go.Scatter(x=x, y=y, mode="lines+markers", line={"color": charts.BLUE, "width": 2}))
    fig.add_hline(y=1.0, line={"color": charts.ORANGE, "dash": "dash", "width": 1.5})
    fig.add_annotation(
        x=1, xref="paper", y=0.0, text="Wiener", showarrow=False, xanchor="right", yanchor="bottom",
        font={"color": charts.ORANGE, "size": 12},
    )  # fmt: skip
    fig.update_yaxes(type="log", tickvals=[0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20], rangemode="normal")
    fig.update_traces(hovertemplate="%{x:,} images: %{y:.3f}<extra></extra>")
    fig.update_layout(uirevision=plan.key)
    charts.show(fig, name=f"held_out_{plan.key}", alt=_alt("test MSE over the Wiener filter's", y))


def _losses(plan: Plan, lines: list[dict[str, float]]) -> None:
    st.markdown("**Loss** of the training batches" + _latest(lines, "loss"))
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


def _latest(lines: list[dict[str, float]], name: str) -> str:
    return f": {lines[-1][name]:.3f}" if lines else ""


def _alt(what: str, values: list[float]) -> str:
    return f"Curve of the {what}" + (f", from {values[0]:.3f} to {values[-1]:.3f}" if values else "")


def _now(preview: Preview) -> None:
    """Predicted and learned field, and what the network generates, at the newest moment."""
    frame, pixel = preview.frames[-1], preview.pixel
    left, right = st.columns(2, gap="medium")
    with left:
        r = _similarity(preview, frame)
        st.markdown(f"**Field of the middle pixel**: r = {r:.3f}", help=_FIELD.format(*pixel, f"{preview.sigma:g}"))
        alt = f"Field learned after {frame.images:,} images, correlation {r:.2f} with the predicted one"
        tiles = [
            Tile(_field(preview, preview.predicted), "Field predicted by the Wiener filter", "Predicted from the data"),
            Tile(_field(preview, frame.learned), alt, f"Learned after {short(frame.images)} images"),
        ]
        grid(tiles, wide=2, narrow=2, gap="8px")
    with right:
        st.markdown("**Samples** from fixed noise")
        grid([_photo(preview, frame, k) for k in range(len(frame.samples))], wide=6, narrow=6)


_FIELD = (
    "Sensitivity of the estimate of pixel ({}, {}) at σ = {}, channels summed: red positive, blue negative. Learned: "
    "the mean of 8 Jacobian rows at noisy held-out images. r is the correlation of the two fields."
)


def _so_far(preview: Preview) -> None:
    """Field and first image, moment by moment."""
    frames = [preview.frames[i] for i in moments(len(preview.frames))]
    if len(frames) < 2:
        return
    st.markdown("**During training**: the field, and a sample from the same noise, by images seen")
    tiles = []
    for frame in frames:
        alt = f"Field learned after {frame.images:,} images"
        tiles.append(Tile(_field(preview, frame.learned), alt, f"r {_similarity(preview, frame):.2f}"))
    tiles += [
        Tile(tile.picture, tile.alt, short(frame.images)) for frame in frames for tile in [_photo(preview, frame, 0)]
    ]
    grid(tiles, wide=len(frames), narrow=len(frames))


def _similarity(preview: Preview, frame: Frame) -> float:
    return compare(preview.predicted, frame.learned, preview.pixel).pearson


def _field(preview: Preview, values: torch.Tensor) -> Picture:
    return signed(values, common_limit([preview.predicted]))


def moments(count: int) -> list[int]:
    """Numbers of up to eight frames, evenly spaced, with the first and the last."""
    if count <= _STRIP:
        return list(range(count))
    return [round(i * (count - 1) / (_STRIP - 1)) for i in range(_STRIP)]


def _photo(preview: Preview, frame: Frame, k: int) -> Tile:
    picture = photo(frame.samples[k].float() / 127.5 - 1.0, preview.shape)
    return Tile(picture, f"Image {k + 1} generated after {frame.images:,} images seen")


def short(count: int) -> str:
    """A count in few letters."""
    for size, unit in ((10**6, "M"), (10**3, "k")):
        if count >= size:
            return f"{count / size:.3g}{unit}"
    return str(count)


def _finished(plan: Plan) -> None:
    """What the network is like, and where to go with it."""
    facts = load_manifest(plan.folder)
    ratios = facts.get("error_ratio", {})
    st.markdown(
        f"Ready on every page as **{plan.name}**: {facts['images_seen']:,} images seen in {facts['minutes']:g} min, "
        f"{facts['parameters'] / 1e6:.2g} million parameters."
    )
    shown = {"σ": list(ratios), "test MSE ÷ Wiener MSE": [f"{ratio:.3f}" for ratio in ratios.values()]}
    with st.expander("Errors at every noise level; does it copy its training images?"):
        st.table(shown, hide_index=True)
        st.caption("Share of its samples that copy a training image, beside the same share of held-out images:")
        st.code(command("memorisation", *plan.source().words, "--model", plan.name), "bash", wrap_lines=True)
