"""The eigenvalues of the covariance against the noise, and the eigenimages that belong to them."""

from __future__ import annotations

import math

import plotly.graph_objects as go
import streamlit as st

from locality.fields.codec import SIGMA_HIGH, SIGMA_LOW
from locality.linear.spectrum import share_above
from locality.linear.wiener import WienerFilter
from pages._ui.charts import BLUE, GREY, ORANGE, figure, show, zero
from pages._ui.data.address import write_address
from pages._ui.images import Picture, Tile, grid, photo, signed
from pages._ui.looking import share_chosen

_SHOWN = 24
_DECADE = (10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 22, 24, 26, 28, 30, 32, 35, 38, 40, 45, 50, 55, 60, 65, 70, 80, 90)
_SIGMAS = [step * 10.0**power for power in (-3, -2, -1, 0, 1) for step in _DECADE]
_GRID = sorted(float(f"{sigma:.2g}") for sigma in _SIGMAS if SIGMA_LOW <= sigma * 1.0001 <= SIGMA_HIGH * 1.001)


@st.fragment
def components(wiener: WienerFilter) -> None:
    """Noise slider, eigenvalue spectrum with the line at sigma^2, eigenimages faded below it."""
    left, right = st.columns(2, gap="large")
    with left:
        st.header("Eigenvalues", anchor=False)
        st.markdown(r"A sum of independent patterns: $S=\sum_k\lambda_k\,u_k u_k^{\top}$")
        sigma = _choose_sigma()
        above, share = wiener.above_noise(sigma), share_above(wiener, sigma)
        st.markdown(
            f"**{above:,} of {wiener.shape.d:,}** components above the noise, "
            f"holding **{100 * share:.1f} %** of the variance"
        )
        show(
            _spectrum(wiener, sigma),
            name="eigenvalues",
            alt=f"Eigenvalues on logarithmic axes; {above} lie above sigma squared = {sigma**2:.4g}",
        )
    with right:
        st.header("Eigenimages", anchor=False)
        colour = wiener.shape.c > 1 and _choose_look() == "In colour"
        grid(
            [_tile(wiener, k, sigma, colour) for k in range(min(_SHOWN, len(wiener.eigvals)))],
            wide=6,
            narrow=4,
            gap="8px",
        )
        st.caption(_legend(colour, wiener.shape.c))


def _choose_sigma() -> float:
    sigma = float(st.session_state["data_sigma"])
    st.select_slider(
        "Noise σ, in units of the images, which run from −1 to 1",
        sorted({*_GRID, sigma}),  # a level that came with a link stays exact
        key="data_sigma",
        format_func=lambda value: f"{value:.4g}",
        on_change=share_chosen,
        args=("data_sigma",),
        persist_state="session",
    )
    write_address("sigma")
    return sigma


def _spectrum(wiener: WienerFilter, sigma: float) -> go.Figure:
    values = wiener.eigvals.double()
    total = max(wiener.trace, 1e-300)
    d, above = len(values), int((values > sigma**2).sum())
    held = values.cumsum(0) / total * 100
    drawn = {*range(min(d, 100)), *(round(d ** (i / 400)) - 1 for i in range(401)), d - 1}  # as fine as a screen shows
    top = max(float(values[0]), SIGMA_HIGH**2) * 5
    bottom = (min(max(float(values[-1]), float(values[0]) * 1e-7), SIGMA_LOW**2) or SIGMA_LOW**2) / 2
    fig = figure("Component, from the largest", "Variance λ", log=True)
    last = max(above - 1, 0)
    for colour, start, stop in ((GREY, last, d), (BLUE, 0, above)):
        at = sorted(k for k in drawn | {last} if start <= k < stop)
        fig.add_scatter(
            x=[k + 1 for k in at],
            y=[value if value > bottom else None for value in values[at].tolist()],
            customdata=held[at].tolist(),
            mode="lines" if d > 200 else "lines+markers",
            line={"color": colour, "width": 3},
            hovertemplate="component %{x}<br>λ = %{y:.4g}<br>"
            "up to here: %{customdata:.1f} % of the variance<extra></extra>",
        )
    fig.add_hline(y=sigma**2, line={"color": ORANGE, "width": 2, "dash": "dash"})
    fig.add_annotation(
        text=f"σ² = {sigma**2:.3g}",
        x=1,
        xref="paper",
        xanchor="right",
        y=math.log10(sigma**2),  # an annotation on a logarithmic axis is placed by the exponent
        yanchor="bottom",
        showarrow=False,
        font={"size": 14, "color": ORANGE},
    )
    fig.update_yaxes(range=[math.log10(bottom), math.log10(top)])
    fig.update_xaxes(range=[-0.03 * math.log10(d), 1.03 * math.log10(max(d, 2))])
    return fig


def _choose_look() -> str:
    return str(
        st.segmented_control(
            "Colours",
            ("Blue to red", "In colour"),
            default="Blue to red",
            required=True,
            key="look",
            bind="query-params",
            label_visibility="collapsed",
        )
    )


def _legend(colour: bool, channels: int) -> str:
    scale = "grey is 0" if colour else f"blue is negative, {zero()} 0, red positive"
    pale = "" if colour else " Elsewhere a pale one has colours of opposite sign, which cancel here (see *In colour*)."
    return (
        f"The directions in which images differ most: {scale}; the sign is arbitrary. Those marked *below* have less "
        f"variance than the noise, and are faded.{pale if channels > 1 else ''}"
    )


def _tile(wiener: WienerFilter, k: int, sigma: float, colour: bool) -> Tile:
    value = float(wiener.eigvals[k])
    share = 100 * value / max(wiener.trace, 1e-300)
    return Tile(
        _picture(wiener, k, colour),
        f"Eigenimage {k + 1}",
        caption=f"{k + 1} · {value:.3g}{' below' if value <= sigma**2 else ''}",
        note=f"Component {k + 1}: λ = {value:.4g}, {share:.2f} % of the variance",
        faded=value <= sigma**2,
    )


def _picture(wiener: WienerFilter, k: int, colour: bool) -> Picture:
    """An eigenvector on its own symmetric scale, turned so that its largest value is positive."""
    u = wiener.eigvecs[:, k]
    peak = float(u[u.abs().argmax()]) or 1.0
    if colour:
        return photo(u / peak, wiener.shape)
    return signed((u / peak).reshape(wiener.shape).mean(dim=0), 1.0)
