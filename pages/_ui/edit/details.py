"""Before and after in numbers: mass on the pattern over many pixels, values out of range, spectra."""

from __future__ import annotations

import math
from collections.abc import Sequence

import streamlit as st
import torch
from torch import Tensor

from locality.datasets import Source
from locality.edits import draw_mask
from locality.fields.codec import decode_rows, mix_rows, weights_about
from locality.linear.spectrum import ring_average
from locality.linear.wiener import WienerFilter, coordinates
from locality.store.artifact import Artifact
from locality.studies import Trained, mass_fractions_of_rows, pixel_grid
from locality.types import ImageShape, Pixel
from pages._ui.charts import BLUE, ORANGE, figure, name_lines, show
from pages._ui.edit.filters import STEP, beyond, fitted, grid_fields, planted_of, power_after, power_before
from pages._ui.edit.networks import Family, stored
from pages._ui.edit.state import Asked


def details(source: Source, asked: Asked, beside: Sequence[Family]) -> None:
    """The section below the view."""
    st.header("Before and after", anchor=False)
    left, right = st.columns(2, gap="large")
    with left:
        if asked.masked is not None:
            _masses(source, asked, beside)
        _range(source, asked)
    with right:
        _spectra(source, asked)


def _masses(source: Source, asked: Asked, beside: Sequence[Family]) -> None:
    """Mean share of the mass on the pattern, for pixels on it and off it."""
    edit = asked.masked
    assert edit is not None
    mask = torch.from_numpy(draw_mask(edit.mask, source.shape.h, source.shape.w)) != 0
    sides = _sides(source.shape, mask)
    rows = [_row("Predicted", _predicted(source, asked), sides, source.shape, mask)]
    for family in beside:
        nearest = family.nearest(edit.level)
        pair = [
            _table_fields(network, asked.sigma, source.shape) for network in (family.before, nearest and nearest[1])
        ]
        level = "" if nearest is None or nearest[0] == edit.level else f", trained at {nearest[0]:g}"
        rows.append(_row(f"{family.title}{level}", pair, sides, source.shape, mask))
    st.markdown(f"**Share of a field’s mass on the pattern**, σ = {asked.sigma:.3g}", help=_HELP)
    st.table(rows, hide_index=True)
    on, off = (len(side) for side in sides)
    st.caption(
        f"Means over {on} pixels on the pattern and {off} off it, excluding the pixel itself; by chance "
        f"{float(mask.double().mean()):.1%}. Networks from their stored fields; – where none are stored."
    )


_HELP = (
    "For each pixel: the sum of absolute weights on the pattern over the sum of all, excluding the pixel itself. "
    "Before: statistics and networks of the unedited images."
)


def _sides(shape: ImageShape, mask: Tensor) -> tuple[list[Pixel], list[Pixel]]:
    grid = pixel_grid(shape, STEP)
    return [pixel for pixel in grid if mask[pixel]], [pixel for pixel in grid if not mask[pixel]]


Fields = dict[Pixel, Tensor]


def _row(
    title: str, pair: Sequence[Fields | None], sides: tuple[list[Pixel], list[Pixel]], shape: ImageShape, mask: Tensor
) -> dict[str, str]:
    """One line: on the pattern before -> after, off it before -> after."""
    found = {"Field": title}
    for name, pixels in zip(("Pixels on it", "Pixels off it"), sides, strict=True):
        shares = [_share(fields, pixels, shape, mask) for fields in pair]
        found[name] = " → ".join(shares)
    return found


def _share(fields: Fields | None, pixels: list[Pixel], shape: ImageShape, mask: Tensor) -> str:
    if fields is None or not pixels:
        return "–"
    masses = mass_fractions_of_rows(torch.stack([fields[pixel] for pixel in pixels]), pixels, shape, mask)
    value = masses.values[1]
    return f"{value:.1%}" if math.isfinite(value) else "–"


def _predicted(source: Source, asked: Asked) -> list[Fields]:
    """Predicted fields of the grid before and after."""
    pixels = pixel_grid(source.shape, STEP)
    return [dict(zip(pixels, rows, strict=True)) for rows in grid_fields(source, asked)]


def _table_fields(network: Trained | None, sigma: float, shape: ImageShape) -> Fields | None:
    """Stored fields of a network at a noise level; None where it has none of this grid."""
    table: Artifact | None = None if network is None else stored(network)
    if network is None or table is None:
        return None
    return _fields_of(str(network.manifest["sha256"]), sigma, shape, table)


@st.cache_resource(max_entries=32, show_spinner=False)
def _fields_of(sha256: str, sigma: float, shape: ImageShape, _table: Artifact) -> Fields | None:
    table = _table
    if table.meta["pixels"] != [list(pixel) for pixel in pixel_grid(shape, STEP)]:
        return None
    codes, scale, sigmas = table.arrays["codes"], table.arrays["scale"], table.meta["sigmas"]
    if not sigmas[0] / 1.1 <= sigma <= sigmas[-1] * 1.1:
        return None  # the fields at the last stored noise level are others
    if sigma in sigmas:
        rows = decode_rows(codes[sigmas.index(sigma)], scale[sigmas.index(sigma)])
    else:
        weights = weights_about(sigmas, sigma)
        levels, shares = [k for k, _ in weights], [weight for _, weight in weights]
        rows = torch.stack([mix_rows(codes[levels, p], scale[levels, p], shares) for p in range(codes.shape[1])])
    return dict(zip(pixel_grid(shape, STEP), rows, strict=True))


def _range(source: Source, asked: Asked) -> None:
    """How many values leave [-1, 1]; what clipping does to the field; directions that lost their variance."""
    words = []
    after = asked.after(source)
    free = source.edited(tuple(edit for edit in asked.chain if edit is not asked.chain[-1] or not asked.clipped))
    if source.available and after.available:
        out = beyond(free)
        words.append(
            f"**{out.share:.2%}** of the values of {out.images:,} edited test images leave [−1, 1], by up to "
            f"{out.largest:.2g}. They are {'clipped' if asked.clipped else 'kept: nothing is clipped'}."
            if out.share > 0
            else f"No value of {out.images:,} edited test images leaves [−1, 1]."
        )
    if asked.clipped:
        clipped, exact = fitted(after), fitted(free)
        coords = coordinates(source.shape, asked.pixel)
        found, truth = (one.rows(coords, asked.sigma) for one in (clipped, exact))
        error = float((found - truth).norm() / truth.norm())
        words.append(f"Clipping changes this pixel’s predicted field by **{error:.1%}** (norms).")
    if asked.planted is None:
        before, changed = fitted(source), fitted(after)
        lost = _flat(changed) - _flat(before)
        if lost > 0:
            words.append(
                f"The covariance is singular: {lost} of {changed.shape.d} directions have lost their variance. The "
                "filter stays defined for every σ > 0 and removes these directions."
            )
    elif asked.planted.level == 0.0:
        words.append("Strength 0 leaves the images as they are: both fields are the same.")
    elif asked.planted.level < 0.0:
        words.append(
            "The sign of the strength changes nothing in expectation, since z is as often negative as positive; over "
            "these images it turns the sign of their small covariance with z."
        )
    st.markdown("  \n".join(words))


def _flat(wiener: WienerFilter) -> int:
    """Directions without variance, up to rounding."""
    flat, outside = 1e-9 * float(wiener.eigvals.max()), wiener.shape.d - len(wiener.eigvals)
    return int((wiener.eigvals <= flat).sum()) + (outside if wiener.rest <= flat else 0)


def _spectra(source: Source, asked: Asked) -> None:
    """Radial power spectrum before and after, and the variance along the pattern."""
    planted = planted_of(source, asked)
    first, second = power_before(source), power_after(source, asked)
    if planted is not None:
        before, after = (planted.variance_along(level) for level in (0.0, asked.main.level))
        st.markdown(
            f"**Power spectrum.** Variance along the pattern: {before:.3g} → {after:.3g} "
            f"(largest eigenvalue before: {float(fitted(source).eigvals[0]):.3g})"
        )
    else:
        st.markdown("**Power spectrum** before and after")
    fig = figure("Frequency, cycles per image", "Power, units of x₀²", log=True, height=300)
    fig.update_yaxes(range=None)
    for title, power, ink, dash in (("Before", first, BLUE, "solid"), ("After", second, ORANGE, "dash")):
        rings = ring_average(power, source.shape)
        keep = rings.power > 1e-12 * rings.power.max()
        fig.add_scatter(
            x=rings.frequency[keep].tolist(),
            y=rings.power[keep].tolist(),
            mode="lines+markers",
            name=title,
            line={"color": ink, "width": 2, "dash": dash},
            hovertemplate=f"{title}: %{{y:.3g}} at %{{x:.3g}} cycles<extra></extra>",
        )
    name_lines(fig)
    show(fig, name="edit_spectra", alt="Radially averaged power spectrum of the images before and after the edit")
