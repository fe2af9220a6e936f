"""The answer at a glance: models ranked by R2 with their intervals, the second network as a band behind them."""

from __future__ import annotations

import math
from statistics import quantiles
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from locality.metrics import Difference, Summary
from locality.studies import Bench
from locality.studies.benchmark import METRICS
from pages._ui.bench.names import plain
from pages._ui.charts import BLUE, GREY, ORANGE, figure, show

_METRICS = ("r2_final", "r2_middle")  # not the mean over all steps: at most noise and least all models are alike
_NORMAL = 1.96  # standard errors on either side of a mean that hold 95 % of a normal distribution


def show_ranking(made: Bench) -> None:
    """The chart and the sentence over it."""
    metric = str(
        st.segmented_control(
            "Ranked by",
            _METRICS,
            default="r2_final",
            required=True,
            key="bench_rank",
            format_func=lambda name: METRICS[name].title,
        )
    )
    rows = ranked(made, metric)
    if not rows:
        return
    st.markdown(answer(made, metric))
    show(
        _figure(made, metric, rows),
        name="bench_ranking",
        alt=f"{METRICS[metric].title} of each model, best first: "
        + "; ".join(f"{plain(made, name)} {found.mean:.3f}" for name, found in rows),
    )


def ranked(made: Bench, metric: str) -> list[tuple[str, Summary]]:
    """Models and other networks by their mean, best first; those without one are left out."""
    found = [(one.name, made.summary(one.name, metric)) for one in made.results if one.kind in ("analytic", "network")]
    return sorted(
        ((name, one) for name, one in found if math.isfinite(one.mean)), key=lambda item: item[1].mean, reverse=True
    )


def answer(made: Bench, metric: str) -> str:
    """Which model is best, by how much, and where the second network lies."""
    rows = ranked(made, metric)
    best, found = rows[0]
    said = f"**{plain(made, best)}** explains the {plain(made, made.reference)} best: {_interval(found)}."
    if len(rows) > 1:
        lead = made.difference(best, rows[1][0], metric)
        clear = "" if lead.n < 2 else (
            f" Its lead over {plain(made, rows[1][0])} is {_told(lead)}"
            + (": not told apart." if lead.low <= 0.0 else ".")
        )  # fmt: skip
        said += clear + _elsewhere(made, best, rows[1][0], metric) + _near(made, metric, rows)
    second = _second(made, metric)
    if second is not None:
        said += f" A second network, {plain(made, str(made.second))}, reaches {_interval(second)}: no upper limit."
    return said


def _elsewhere(made: Bench, best: str, other: str, metric: str) -> str:
    """The same lead against the second network: what holds for one network only is no finding."""
    if metric != "r2_final" or made.second is None or made.second in (best, other):
        return ""
    lead = made.difference(best, other, "r2_second")
    if lead.n < 2:
        return ""
    apart = ": not told apart" if lead.low <= 0.0 <= lead.high else ""
    return f" Against the second network it is {_told(lead)}{apart}."


def _near(made: Bench, metric: str, rows: list[tuple[str, Summary]]) -> str:
    """Models after the next one over which the best has no sure lead, against one network or the other."""
    best, found = rows[0][0], []
    metrics = {metric: ""}
    if metric == "r2_final" and made.second not in (None, best):
        metrics["r2_second"] = " against the second network"
    for name in (name for name, _ in rows[2:] if name != made.second):
        for scored, where in metrics.items():
            lead = made.difference(best, name, scored)
            if lead.n > 1 and lead.low <= 0.0 <= lead.high:
                found.append(f"over {plain(made, name)}: {_told(lead)}{where}")
    return f" Its lead is not sure {'; '.join(found)}." if found else ""


def _second(made: Bench, metric: str) -> Summary | None:
    if made.second is None or made.second not in made.names:
        return None
    found = made.summary(made.second, metric)
    return found if math.isfinite(found.mean) else None


def _told(lead: Difference) -> str:
    return f"{lead.mean:.3f} [{lead.low:.3f}, {lead.high:.3f}]"


def _half(found: Summary) -> float:
    return _NORMAL * found.stderr if math.isfinite(found.stderr) else 0.0


def _interval(found: Summary) -> str:
    half = _half(found)
    return f"{found.mean:.3f} [{found.mean - half:.3f}, {found.mean + half:.3f}]" if half else f"{found.mean:.3f}"


def _figure(made: Bench, metric: str, rows: list[tuple[str, Summary]]) -> go.Figure:
    second, title = _second(made, metric), METRICS[metric].title
    low = lowest([found.mean for _, found in rows])
    fig = figure(f"{title}, 95 % interval", "", height=90 + 28 * len(rows))
    if second is not None:
        half = _half(second)
        fig.add_vrect(x0=second.mean - half, x1=second.mean + half, fillcolor=ORANGE, opacity=0.22, line_width=0)
        label: dict[str, Any] = {"text": "second network", "showarrow": False, "yref": "paper", "y": 1.0}
        far = second.mean > (low + rows[0][1].mean) / 2
        fig.add_annotation(
            x=second.mean + half, yanchor="bottom", xanchor="right" if far else "left", font={"size": 12}, **label
        )
    names = [plain(made, name) for name, _ in rows]
    beyond = [found.mean < low for _, found in rows]
    fig.add_scatter(
        x=[max(found.mean, low) for _, found in rows],
        y=names,
        mode="markers+text",
        text=[f"  {found.mean:.2f}" if far else "" for (_, found), far in zip(rows, beyond, strict=True)],
        textposition="middle right",
        marker={"color": BLUE, "size": 10, "symbol": ["triangle-left" if far else "circle" for far in beyond]},
        error_x={
            "type": "data",
            "array": [0.0 if far else _half(found) for (_, found), far in zip(rows, beyond, strict=True)],
            "thickness": 2,
        },
        customdata=[found.mean for _, found in rows],
        hovertemplate="%{y}: %{customdata:.3f}<extra></extra>",
    )
    fig.add_vline(x=0.0, line={"color": GREY, "width": 1})
    top = max([found.mean + _half(found) for _, found in rows] + ([second.mean + _half(second)] if second else []))
    fig.update_xaxes(range=[low - 0.04, min(1.02, top + 0.05)])
    fig.update_yaxes(autorange="reversed", showgrid=True)
    fig.update_layout(margin={"t": 26, "l": 8, "r": 12, "b": 8})
    return fig


def lowest(values: list[float]) -> float:
    """Where the axis begins: the smallest value that is no outlier (1.5 interquartile ranges below the quarter)."""
    if len(values) < 4:
        return min(values)
    quarter, _, three = quantiles(values, n=4, method="inclusive")
    return min(value for value in values if value >= quarter - 1.5 * (three - quarter))
