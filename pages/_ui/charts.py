"""Plotly figures with one look: theme colours, units on axes, a toolbar that saves PNG or SVG."""

from __future__ import annotations

from typing import Any

import pandas  # noqa: F401  (whole before any figure: Plotly takes what another session's thread has begun to import)
import plotly.graph_objects as go
import streamlit as st

BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#8a979f"  # told apart with every kind of colour vision, light and dark
DIVERGING = ["#053061", "#2166ac", "#4393c3", "#92c5de", "#d1e5f0", "#ffffff"]
DIVERGING += ["#fddbc7", "#f4a582", "#d6604d", "#b2182b", "#67001f"]
_ON_DARK = ["#b9e4ff", "#7cc4f5", "#4296d6", "#2a6a9e", "#1e455f", "#18232b"]
_ON_DARK += ["#4f2a24", "#8c4030", "#cc5c41", "#f28e68", "#ffd0b3"]

_BUTTONS = ["zoomIn2d", "zoomOut2d", "autoScale2d", "lasso2d", "select2d"]


def diverging() -> list[str]:
    """Negative to positive; zero is as light as a light page, or as dark as a dark one."""
    return _ON_DARK if st.context.theme.type == "dark" else DIVERGING


def zero() -> str:
    """What `diverging` shows for zero, in a word."""
    return "dark" if st.context.theme.type == "dark" else "white"


def figure(x: str, y: str, *, log: bool = False, height: int = 340) -> go.Figure:
    """An empty figure with axis titles that carry their units; background and text follow the theme."""
    fig = go.Figure()
    fig.update_layout(
        height=height,
        margin={"l": 8, "r": 12, "t": 12, "b": 8},
        showlegend=False,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        hoverlabel={"font": {"size": 13}},
        dragmode="zoom",
    )
    kind: dict[str, Any] = {"title": {"font": {"size": 13}}, "tickfont": {"size": 12}, "automargin": True}
    if log:
        kind |= {"type": "log", "dtick": 1, "exponentformat": "power"}
    fig.update_xaxes(title_text=x, zeroline=False, **kind)
    fig.update_yaxes(title_text=y, zeroline=False, **kind)
    return fig


def name_lines(fig: go.Figure) -> None:
    """A legend over the figure; the more rows it needs, the more room it takes there."""
    fig.update_layout(showlegend=True, legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0})


def show(fig: go.Figure, *, name: str, alt: str) -> None:
    """Draw a figure; its camera button saves `name` in the format of `choose_format`."""
    config = {
        "displaylogo": False,
        "modeBarButtonsToRemove": _BUTTONS,
        "toImageButtonOptions": {"format": _format(), "filename": name, "scale": 3 if _format() == "png" else 1},
    }
    st.plotly_chart(fig, key=f"chart_{name}", config=config, alt=alt)


def choose_format() -> None:
    """PNG or SVG for the camera button of every figure of the page."""
    st.segmented_control(
        "Figures are saved as",
        ("PNG", "SVG"),
        default="PNG",
        required=True,
        key="figure_format",
        persist_state="session",
        help="Every chart has a camera button in its corner: point at the chart to see it.",
    )


def _format() -> str:
    return str(st.session_state.get("figure_format") or "PNG").lower()
