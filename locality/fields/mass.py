"""Where the fields of several pixels have their mass: on a pattern, and far away; with errors over draws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from locality.fields.jackknife import jackknife
from locality.fields.rows import Rows
from locality.types import ImageShape, Pixel

FAR = 4.0  # pixels beyond which mass counts as non-local
QUANTITIES = ("mass_on_pattern", "mass_without_own", "non_locality")


@dataclass(frozen=True)
class MassFractions:
    """Means over the pixels, each a share of the absolute mass in [0, 1], and their standard errors over draws.

    `mass_on_pattern`: on the mask. `mass_without_own`: the same, excluding the fields' own pixels. `non_locality`:
    farther than 4 pixels away. nan where there is no mask, and for errors where there is one draw or none.
    """

    values: tuple[float, float, float]
    stderrs: tuple[float, float, float]
    draws: int | None

    def to_json(self) -> dict[str, Any]:
        """Value and error of each quantity by name; nan where it is not defined."""
        return {
            **dict(zip(QUANTITIES, self.values, strict=True)),
            **{f"{name}_stderr": error for name, error in zip(QUANTITIES, self.stderrs, strict=True)},
            "n": self.draws,
        }


def mass_fractions_of_rows(
    rows: Float[Tensor, "p hw"], pixels: Sequence[Pixel], shape: ImageShape, mask: Bool[Tensor, "h w"] | None
) -> MassFractions:
    """Of fields that are known exactly, summed over channels."""
    values = _shares(rows.double()[None], pixels, shape, mask)[0]
    return MassFractions(_three(values), (math.nan,) * 3, None)


def mass_fractions_of_draws(
    fields: Float[Tensor, "p k hw"], pixels: Sequence[Pixel], shape: ImageShape, mask: Bool[Tensor, "h w"] | None
) -> MassFractions:
    """Of the mean over k draws; the error is the jackknife over draws, which are the same for all pixels."""
    each = fields.double().transpose(0, 1)  # [k p hw]
    count, total = len(each), each.sum(dim=0)
    values = _shares((total / count)[None], pixels, shape, mask)[0]
    if count < 2:
        return MassFractions(_three(values), (math.nan,) * 3, count)
    left_out = _shares((total - each) / (count - 1), pixels, shape, mask)
    return MassFractions(_three(values), _three(jackknife(left_out)), count)


def mass_fractions(rows: Rows, pixels: Sequence[Pixel], mask: Bool[Tensor, "h w"] | None) -> MassFractions:
    """Of the fields of some pixels, summed over channels: exact, or of the mean over draws."""
    fields = rows.summed().float().cpu()
    if rows.draws is None:
        return mass_fractions_of_rows(fields[:, 0], pixels, rows.shape, mask)
    return mass_fractions_of_draws(fields, pixels, rows.shape, mask)


def _shares(
    fields: Float64[Tensor, "k p hw"], pixels: Sequence[Pixel], shape: ImageShape, mask: Bool[Tensor, "h w"] | None
) -> Float64[Tensor, "k 3"]:
    """The three quantities for every draw, means over pixels whose field is not zero."""
    mass = fields.abs()
    own = torch.tensor([row * shape.w + col for row, col in pixels])
    places = torch.arange(len(pixels))
    around = mass.clone()
    around[:, places, own] = 0.0
    on = torch.full((shape.h * shape.w,), torch.nan) if mask is None else mask.flatten()
    far = _far(own, shape)
    parts = (
        ((mass * on.double()).sum(dim=2), mass.sum(dim=2)),
        ((around * on.double()).sum(dim=2), around.sum(dim=2)),
        ((mass * far).sum(dim=2), mass.sum(dim=2)),
    )
    return torch.stack([(part / torch.where(whole > 0, whole, torch.nan)).nanmean(dim=1) for part, whole in parts], 1)


def _far(own: Tensor, shape: ImageShape) -> Float64[Tensor, "p hw"]:
    """1 where a pixel is farther than FAR from each of `own`."""
    rows, cols = torch.arange(shape.h)[:, None], torch.arange(shape.w)[None, :]
    dist2 = (rows - (own // shape.w)[:, None, None]) ** 2 + (cols - (own % shape.w)[:, None, None]) ** 2
    return (dist2 > FAR**2).double().flatten(1)


def _three(values: Float64[Tensor, " 3"]) -> tuple[float, float, float]:
    first, second, third = values.tolist()
    return first, second, third
