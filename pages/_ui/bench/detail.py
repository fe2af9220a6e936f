"""What is behind a cell: the curve over noise, the difference to the best model, and the images."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go
import streamlit as st
from jaxtyping import UInt8
from torch import Tensor

from locality.metrics import Difference
from locality.studies import Bench
from locality.studies.benchmark import METRICS, Result
from locality.studies.benchmark.metrics import NEAREST, OF_IMAGES
from locality.types import ImageShape
from pages._ui.architectures.entries import COLOURS
from pages._ui.bench.misses import least, show_misses
from pages._ui.bench.names import plain
from pages._ui.bench.table import Picked
from pages._ui.charts import GREY, figure, name_lines, show
from pages._ui.images import Tile, grid, photo, signed

_SHOWN = 8
_ORDERS = ("As drawn", "Lowest R² first")
_RATIOS = ("denoise_ratio", "denoise_steps")
_FLOOR = -1.0  # of the axis of R2: an outlier of -12 would press all others together


def show_detail(made: Bench, cell: Picked) -> None:
    """The section below the table."""
    about = METRICS.get(cell.metric)
    st.header(f"{plain(made, cell.model)}: {about.title if about else 'time and memory'}", anchor=False)
    if about is not None:
        st.caption(f"{typeset(about.sentence)}.")
    _differences(made, cell)
    _images(made, cell)
    show_misses(made, cell.model)
    _curve(made, cell)


def typeset(sentence: str) -> str:
    """What a metric means, with the formula of R2 as one."""
    plain_ = "1 - sum (a - u)^2 / sum (u - mean u)^2"
    formula = r"$R^2 = 1 - \textstyle\sum (a - u)^2 / \sum (u - \bar u)^2$"
    sentence = sentence.replace(plain_, formula).replace(" (`undefined`)", "")
    return f"{sentence[0].upper()}{sentence[1:]}"


def _differences(made: Bench, cell: Picked) -> None:
    """To the best analytic model, to Wiener and to the second network, paired over images."""
    if (
        cell.metric not in OF_IMAGES
        or METRICS[cell.metric].cell == NEAREST
        or made.result(cell.model).kind in ("reference", "control")
    ):
        return
    others = {
        "the best analytic model": made.best(cell.metric),
        "Wiener": "wiener",
        "the second network": made.second,
    }
    lines = []
    for what, to in others.items():
        if to is None or to == cell.model or to not in made.names:
            continue
        found = made.difference(cell.model, to, cell.metric)
        if found.n > 1:
            named = plain(made, to)
            named = named if named.lower() in what.lower() else f"{named}, {what}"
            lines.append(f"- to **{named}**: {_interval(found)}")
    if lines:
        st.markdown("**Paired difference**, the same images and noise, with a 95 % interval  \n" + "\n".join(lines))


def _interval(found: Difference) -> str:
    clear = "" if found.low <= 0.0 <= found.high else ", 95 % CI excludes 0"
    return f"{found.mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}], n = {found.n}{clear}"


def _curve(made: Bench, cell: Picked) -> None:
    metric = cell.metric if cell.metric in _RATIOS else "r2_trajectory"
    title = METRICS[metric].title
    names = [cell.model, made.best("r2_final"), "wiener", made.second]
    shown = [name for name in dict.fromkeys(names) if name and made.curve(name, metric)]
    shown = [name for name in shown if any(math.isfinite(summary.mean) for _, summary in made.curve(name, metric))]
    if not shown:
        st.caption("No curve over noise for this row.")
        return
    st.markdown(f"**{title}** over noise; bars are standard errors over images")
    fig = figure("Noise level σ", title, height=330)
    for name, ink in zip(shown, (COLOURS[0], COLOURS[1], GREY, COLOURS[2]), strict=False):
        _line(fig, made, name, metric, ink)
    fig.update_xaxes(type="log", dtick=1)
    if metric in _RATIOS:
        fig.add_hline(y=1.0, line={"color": GREY, "dash": "dot", "width": 1})
    else:
        found = [summary for name in shown for _, summary in made.curve(name, metric) if math.isfinite(summary.mean)]
        low = min(one.mean - (one.stderr if math.isfinite(one.stderr) else 0.0) for one in found)
        fig.update_yaxes(range=[max(min(low - 0.05, 0.5), _FLOOR), 1.02])
        if below := clipped(made, shown):
            st.caption(f"The axis ends at {_FLOOR:g}. Below it: {'; '.join(below)}.")
    name_lines(fig)
    show(fig, name=f"bench_{metric}", alt=f"{title} against the noise level of {', '.join(shown)}")


def clipped(made: Bench, names: Sequence[str]) -> list[str]:
    """Where R2 on-trajectory leaves the chart, in words: the model, its noise levels and values there."""
    found = []
    for name in names:
        low = [(sigma, one.mean) for sigma, one in made.curve(name, "r2_trajectory") if one.mean < _FLOOR]
        if low:
            found.append(f"{plain(made, name)} {', '.join(f'{value:.1f} at σ {sigma:.3g}' for sigma, value in low)}")
    return found


def _line(fig: go.Figure, made: Bench, name: str, metric: str, ink: str) -> None:
    points = [(sigma, found) for sigma, found in made.curve(name, metric) if math.isfinite(found.mean)]
    errors = [found.stderr if math.isfinite(found.stderr) else 0.0 for _, found in points]
    fig.add_scatter(
        x=[sigma for sigma, _ in points],
        y=[found.mean for _, found in points],
        error_y={"type": "data", "array": errors, "visible": any(errors), "thickness": 1.2},
        mode="lines+markers",
        name=plain(made, name),
        line={"color": ink, "width": 2},
        hovertemplate=f"{plain(made, name)}, σ = %{{x:.3g}}: %{{y:.3f}}<extra></extra>",
    )


def _images(made: Bench, cell: Picked) -> None:
    """The network's images, the model's from the same noise, and where they differ."""
    ours, theirs = made.result(cell.model), made.result(made.reference)
    count = min(_SHOWN, len(ours.images), len(theirs.images))
    if not count:
        st.caption("No images are stored for this row.")
        return
    paired = ours.kind not in ("reference", "control")
    st.markdown("**Images from the same noise**" if paired else f"**Images**: {ours.name}")
    shown = list(range(count))
    if paired and len(ranked := least(made, ours.name, count)) == count:
        order = st.segmented_control("Order", _ORDERS, default=_ORDERS[0], required=True, key="bench_order")
        shown = ranked if order == _ORDERS[1] else shown
    tiles = [_tile(theirs.images[i], made.shape, f"{theirs.name}, image {i + 1}") for i in shown] if paired else []
    tiles += [
        _tile(ours.images[i], made.shape, f"{ours.name}, image {i + 1}", _score(made, ours, cell, i)) for i in shown
    ]
    if paired:
        tiles += [_difference(ours, theirs, made.shape, i) for i in shown]
    grid(tiles, wide=count, narrow=count, gap="4px")  # a row of a grid is a model: it never wraps
    if paired:
        st.caption(
            f"Rows: {plain(made, theirs.name)} (the network), {plain(made, ours.name)}, and the second minus the first "
            f"(red: brighter, blue: darker; ±1 in units of [−1, 1], channels averaged). Numbers: R2 final of each."
        )


def _tile(image: UInt8[Tensor, " d"], shape: ImageShape, alt: str, caption: str = "") -> Tile:
    return Tile(photo(image.float() / 127.5 - 1.0, shape), alt, caption)


def _difference(ours: Result, theirs: Result, shape: ImageShape, i: int) -> Tile:
    change = (ours.images[i].float() - theirs.images[i].float()).reshape(shape).mean(dim=0) / 127.5
    return Tile(signed(change, 1.0), f"{ours.name} minus {theirs.name}, image {i + 1}")


def _score(made: Bench, ours: Result, cell: Picked, i: int) -> str:
    if ours.kind in ("reference", "control"):
        return ""
    values = made.values(ours.name, "r2_final")
    value = float(values[i]) if i < len(values) else math.nan
    return f"{value:.2f}" if math.isfinite(value) else "–"
