"""How the variance spreads over spatial frequencies, and how correlated two pixels are at a distance."""

from __future__ import annotations

import plotly.graph_objects as go
import streamlit as st

from locality.errors import BadInput
from locality.linear.spectrum import PowerLawFit, exponents_of_halves, fit_power_law, frequencies, nyquist
from locality.types import ImageShape
from pages._ui.charts import BLUE, GREY, ORANGE, diverging, figure, show
from pages._ui.data.summary import Summary

_HEIGHT = 320  # pixels: three figures in a row
_BAR = {"orientation": "h", "thickness": 8, "len": 0.9, "y": 1.0, "yanchor": "bottom", "outlinewidth": 0, "ypad": 4}


@st.fragment
def structure(shape: ImageShape, found: Summary) -> None:
    """Radial power spectrum with its fitted line, correlation against displacement and against distance."""
    left, middle, right = st.columns(3, gap="medium")
    with left:
        st.header("Power spectrum", anchor=False)
        place = st.container()
        fit, reported = _fit(shape, found)
        with place:
            st.markdown(reported)
            show(_power(shape, found, fit), name="power_spectrum", alt=f"Power against spatial frequency. {reported}")
    with middle:
        st.header("Correlation by offset", anchor=False)
        st.markdown("of two pixels, averaged over their positions")
        show(_map(found), name="correlation_map", alt="Mean correlation of two pixels by row and column offset")
    with right:
        st.header("Correlation by distance", anchor=False)
        reach = found.radial.reach(0.5)
        reported = "never falls to one half" if reach is None else f"falls to one half at **{reach:.1f} pixels**"
        st.markdown(reported)
        show(_curve(found, reach), name="correlation_curve", alt=f"Mean correlation against distance: {reported}")
        _left_out(shape, found)


def _fit(shape: ImageShape, found: Summary) -> tuple[PowerLawFit | None, str]:
    """The line through the chosen range, and a sentence about it."""
    last = nyquist(shape)
    if last < 3:
        return None, "Too few frequencies for a power law: these images are too small."
    key = f"fit_{last}"  # another range for another size of image
    low, high = st.slider("Fitted range, cycles per image", 1, last, (1, last), key=key, persist_state="session")
    try:
        fit = fit_power_law(found.rings, low, high)
    except BadInput as error:
        return None, str(error)
    digits = 2 if fit.error > 0.005 else 4
    halves = exponents_of_halves(found.rings, low, high)
    apart = "" if halves is None else f" ({halves[0]:.2f} in the lower half of the range, {halves[1]:.2f} in the upper)"
    return fit, f"falls as $1/k^a$ with **a = {fit.exponent:.{digits}f} ± {fit.error:.{digits}f}**{apart}"


def _power(shape: ImageShape, found: Summary, fit: PowerLawFit | None) -> go.Figure:
    fig = figure("Frequency k, cycles per image", "Power P(k), image units²", log=True, height=_HEIGHT)
    k, power = frequencies(shape).flatten(), found.power.flatten()
    fig.update_xaxes(tickmode="array", tickvals=[2**i for i in range(12)])
    floor = 1e-9 * float(power.max())
    shown = (k > 0) & (power > floor)
    every = {"x": k[shown].tolist(), "y": power[shown].tolist()}
    fig.add_scatter(**every, mode="markers", marker={"size": 3, "color": GREY, "opacity": 0.35}, hoverinfo="skip")
    rings = found.rings
    shown = (rings.frequency > 0) & (rings.typical > floor)
    fig.add_scatter(
        x=rings.frequency[shown].tolist(),
        y=rings.typical[shown].tolist(),
        customdata=list(zip(rings.power[shown].tolist(), rings.count[shown].tolist(), strict=True)),
        mode="markers",
        marker={"size": 8, "color": BLUE},
        hovertemplate="k = %{x:.2f} cycles per image<br>typical power %{y:.3g}, mean %{customdata[0]:.3g}"
        "<br>%{customdata[1]:.0f} frequencies<extra></extra>",
    )
    if fit is not None:
        ends = rings.frequency[(rings.frequency.round() >= fit.low) & (rings.frequency.round() <= fit.high)][[0, -1]]
        line = {"color": ORANGE, "width": 2.5}
        fig.add_scatter(x=ends.tolist(), y=fit(ends).tolist(), mode="lines", line=line, hoverinfo="skip")
    return fig


def _map(found: Summary) -> go.Figure:
    correlation = found.correlation
    value, pairs = correlation.value.numpy(), correlation.pairs.numpy()
    rows, cols = ((n - 1) // 2 for n in value.shape)
    fig = figure("Column offset, pixels", "Row offset, pixels", height=_HEIGHT)
    fig.add_heatmap(
        z=[[float(v) if n else None for v, n in zip(*line, strict=True)] for line in zip(value, pairs, strict=True)],
        x=list(range(-cols, cols + 1)),
        y=list(range(-rows, rows + 1)),
        zmin=-1,
        zmax=1,
        colorscale=diverging(),
        colorbar={**_BAR, "tickvals": [-1, -0.5, 0, 0.5, 1]},
        hovertemplate="%{y} rows and %{x} columns apart<br>correlation %{z:.3f}<extra></extra>",
    )
    fig.update_yaxes(autorange="reversed", scaleanchor="x", constrain="domain", showgrid=False)
    fig.update_xaxes(constrain="domain", showgrid=False)
    return fig


def _curve(found: Summary, reach: float | None) -> go.Figure:
    radial = found.radial
    fig = figure("Distance, pixels", "Correlation", height=_HEIGHT)
    fig.add_scatter(
        x=radial.distance.tolist(),
        y=radial.value.tolist(),
        customdata=radial.pairs.tolist(),
        mode="lines+markers",
        line={"color": BLUE, "width": 2.5},
        marker={"size": 6},
        hovertemplate="%{x:.1f} pixels apart<br>correlation %{y:.3f}<br>%{customdata:,.0f} pairs<extra></extra>",
    )
    fig.add_hline(y=0, line={"color": GREY, "width": 1})
    if reach is not None:
        fig.add_scatter(
            x=[0, reach, reach],
            y=[0.5, 0.5, 0],
            mode="lines",
            line={"color": ORANGE, "width": 1.5, "dash": "dot"},
            hoverinfo="skip",
        )
    low = min(0.0, *radial.value.tolist()) if len(radial.value) else 0.0
    fig.update_yaxes(range=[low - 0.05, 1.05])
    return fig


def _left_out(shape: ImageShape, found: Summary) -> None:
    if found.correlation.constant:
        st.caption(f"{found.correlation.constant} of {shape.d:,} pixel values hardly vary and are left out.")
