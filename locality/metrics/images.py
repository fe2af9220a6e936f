"""How well one image explains another: scores per image, of all pixels and channels together."""

from __future__ import annotations

import torch
from jaxtyping import Float, Float64
from torch import Tensor


def explained(
    estimate: Float[Tensor, "n d"], target: Float[Tensor, "n d"], *, constant: float = 1e-12
) -> Float64[Tensor, " n"]:
    """R2 per image: share of the target's variance that the estimate explains; at most 1, can be negative.

        R2 = 1 - sum (a - u)^2 / sum (u - mean(u))^2

    over all pixels and channels, mean(u) one number per image. nan where u is constant: where its variance
    is below `constant` times its mean square.
    """
    a, u = estimate.double(), target.double()
    spread, varies = _spread(u, constant)
    return 1.0 - (a - u).square().sum(dim=1) / torch.where(varies, spread, torch.nan)


def pearson(
    estimate: Float[Tensor, "n d"], target: Float[Tensor, "n d"], *, constant: float = 1e-12
) -> Float64[Tensor, " n"]:
    """Pearson correlation per image over all pixels and channels, in [-1, 1]; nan where either is constant.

    Blind to scale and offset: never to be compared with R2, nor its square with it.
    """
    a, u = estimate.double(), target.double()
    (spread_a, varies_a), (spread_u, varies_u) = _spread(a, constant), _spread(u, constant)
    together = ((a - a.mean(dim=1, keepdim=True)) * (u - u.mean(dim=1, keepdim=True))).sum(dim=1)
    size = torch.where(varies_a & varies_u, (spread_a * spread_u).sqrt(), torch.nan)
    return (together / size).clamp(-1.0, 1.0)


def squared_error(estimate: Float[Tensor, "n d"], target: Float[Tensor, "n d"]) -> Float64[Tensor, " n"]:
    """Mean over d of (a - u)^2 per image, neither clamped; units of [-1, 1], squared."""
    return (estimate.double() - target.double()).square().mean(dim=1)


def squared_error01(estimate: Float[Tensor, "n d"], target: Float[Tensor, "n d"]) -> Float64[Tensor, " n"]:
    """As `squared_error` of the images as they are shown: clamped to [-1, 1] and scaled to [0, 1]; in [0, 1]."""
    shown, wanted = (images.double().clamp(-1.0, 1.0) / 2.0 for images in (estimate, target))
    return (shown - wanted).square().mean(dim=1)


def _spread(u: Float64[Tensor, "n d"], constant: float) -> tuple[Float64[Tensor, " n"], Tensor]:
    """sum (u - mean u)^2, and whether it is more than rounding."""
    spread = (u - u.mean(dim=1, keepdim=True)).square().sum(dim=1)
    return spread, spread > constant * u.square().sum(dim=1)
