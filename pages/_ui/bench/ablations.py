"""Which settings move R2, and by how much: paired differences of the presets to their baselines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from locality.studies import PRESETS, Bench
from locality.studies.benchmark.metrics import COMPARED, METRICS
from pages._ui.architectures.entries import COLOURS
from pages._ui.charts import GREY, figure, name_lines, show

_TITLES = {name: METRICS[name].title for name in COMPARED}


def show_ablations(tables: Sequence[Bench]) -> None:
    """A forest of differences for every preset that was run on the dataset."""
    st.header("What moves R2?", anchor=False)
    st.markdown(
        "Each setting against its baseline, with the same noise, network and images. Compare these differences with "
        "those between methods; with more training images they may be others, even of the other sign."
    )
    found = [(table, row) for table in tables for row in table.ablations()]
    if not found:
        st.caption("No ablation of this dataset is stored: run one with `python -m locality bench … --preset NAME`.")
        return
    metric = st.segmented_control(
        "Difference of",
        list(_TITLES),
        default="r2_final",
        required=True,
        format_func=_TITLES.__getitem__,
        key="ablated",
    )
    presets = list(dict.fromkeys(row["preset"] for _, row in found))
    span = _span([row for _, row in found if row["metric"] == metric and row["n"]])
    for preset in presets:
        rows = [row for _, row in found if row["preset"] == preset and row["metric"] == metric and row["n"]]
        table = next(table for table, row in found if row["preset"] == preset)
        if rows:
            _forest(preset, rows, table, span)


def _span(rows: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """One scale for all presets, so that their sizes can be compared; 0 is on it."""
    ends = [0.0, *(row[end] for row in rows for end in ("mean", "low", "high") if row[end] is not None)]
    low, high = min(ends), max(ends)
    margin = 0.05 * (high - low) or 0.1
    return low - margin, high + margin


def _forest(preset: str, rows: Sequence[dict[str, Any]], table: Bench, span: tuple[float, float]) -> None:
    about = PRESETS[preset].help if preset in PRESETS else ""
    st.markdown(f"**{preset.replace('_', ' ').capitalize()}**: {about}")
    fig = figure("Difference from the baseline", "", height=110 + 34 * len(rows))
    for baseline, ink in zip(dict.fromkeys(row["to"] for row in rows), COLOURS, strict=False):
        _points(fig, [row for row in rows if row["to"] == baseline], baseline, ink)
    fig.add_vline(x=0.0, line={"color": GREY, "width": 1})
    fig.update_xaxes(range=span)
    fig.update_yaxes(autorange="reversed", tickfont={"size": 11})
    name_lines(fig)
    show(fig, name=f"ablation_{preset}", alt=f"Differences of {preset}: " + "; ".join(map(_said, rows)))
    seen = (
        f"first {table.train_images:,}" if any("first" in note for note in table.notes) else f"{table.train_images:,}"
    )
    st.caption(
        f"{table.dataset} against {table.reference}, n = {table.plan.count}, {seen} training images; 95 % intervals."
    )


def _points(fig: go.Figure, rows: Sequence[dict[str, Any]], baseline: str, ink: str) -> None:
    names = [str(row["model"]).removeprefix(f"{baseline}:").removeprefix(baseline) or str(row["model"]) for row in rows]
    fig.add_scatter(
        x=[row["mean"] for row in rows],
        y=[f"{baseline}: {name}" for name in names],
        mode="markers",
        name=f"to {baseline}",
        marker={"color": ink, "size": 9},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [(row["high"] or row["mean"]) - row["mean"] for row in rows],
            "arrayminus": [row["mean"] - (row["low"] or row["mean"]) for row in rows],
            "thickness": 1.5,
        },
        hovertemplate="%{y}: %{x:+.4f}<extra></extra>",
    )


def _said(row: dict[str, Any]) -> str:
    return f"{row['model']} {row['mean']:+.3f}"
