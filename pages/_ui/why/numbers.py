"""The numbers of the page: agreement of endless draws, what one image's field shares, mass a network cannot reach."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from locality.fields.jacobian import field_rows, pixel_outputs
from locality.types import Denoiser, ImageShape, Pixel


@dataclass(frozen=True)
class Agreed:
    """Agreement of a learned field with the prediction.

    `plain`: r over K draws. `reliability`: c of the mean over K draws. `endless`: what r would be with endless draws,
    r / sqrt(c). `single`: c of one draw, the share of one image's field that all images have in common.
    """

    plain: float
    reliability: float
    endless: float
    single: float


def agreed(plain: float, reliability: float, draws: int, endless: float) -> Agreed:
    """From r and the reliability c over all draws; `endless`: r of endless draws.

        c_1 = c / (c + K (1 - c))

    nan where the draws do not agree. Sources: Spearman 1910, Brown 1910 (British Journal of Psychology 3).
    """
    if not reliability > 0.0:
        return Agreed(plain, math.nan, math.nan, math.nan)
    c = reliability
    return Agreed(plain, c, endless, c / (c + draws * (1.0 - c)))


def reach(denoiser: Denoiser, sigma: float) -> int:
    """The farthest row or column, in pixels, that a pixel's estimate depends on at all; the side where it sees all.

    Measured at the middle pixel, on one noise image: what a network cannot see has a derivative of exactly zero.
    """
    shape = denoiser.shape
    middle = Pixel(shape.h // 2, shape.w // 2)
    x = sigma * torch.randn(1, shape.d, generator=torch.Generator().manual_seed(0))
    field = field_rows(denoiser, x, pixel_outputs(shape, middle, None), sigma).reshape(-1, shape.h, shape.w)
    seen = field.abs().sum(dim=0).nonzero()
    found = int((seen - torch.tensor(middle)).abs().max()) if len(seen) else 0
    return max(shape.h, shape.w) if found >= max(middle) else found


def out_of_reach(fields: Float[Tensor, "p hw"], pixels: Sequence[Pixel], shape: ImageShape, reach: int) -> float:
    """Share of the absolute mass of fields farther than `reach` rows or columns from their pixels, mean over them."""
    rows, cols = torch.arange(shape.h)[:, None], torch.arange(shape.w)[None, :]
    shares = []
    for field, (row, col) in zip(fields.double().abs(), pixels, strict=True):
        beyond = ((rows - row).abs() > reach) | ((cols - col).abs() > reach)
        total = float(field.sum())
        if total > 0:
            shares.append(float(field[beyond.flatten()].sum()) / total)
    return sum(shares) / len(shares) if shares else math.nan
