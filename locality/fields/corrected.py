"""Agreement of fields corrected for the noise of averaging over draws, which makes every r too small.

A field averaged over K draws is the field and noise. Against one without noise r is sqrt(c) times too small, c being
its reliability; two networks on the same draws share noise, and r may be too large. Both corrections ask what r would
be with endless draws:

    by reliability   r_x / sqrt(h_a h_b): r_x between one model's field of one half of the draws and the other's of the
                     other half, which share none; h a model's own half against its other half. A model without noise
                     has h = 1. The reliability of all K draws is c = 2 h / (1 + h).
    by jackknife     K r - (K - 1) mean_k r_(-k), r_(-k) without draw k: whatever falls as 1 / K is gone.

The first needs fields whose noise is not much larger than they are, the second K large enough that noise is small.
Sources: Spearman 1904 (Am. J. Psychol. 15:72), 1910; Brown 1910 (Br. J. Psychol. 3); Quenouille 1956 (Biometrika 43).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from locality.errors import BadInput
from locality.fields.similarity import unit_fields
from locality.types import ImageShape, Pixel

_LEAST = 4  # draws: halves of two, each without one


@dataclass(frozen=True, eq=False)
class Corrected:
    """Of all pairs of n models, means over pixels by weight; nan where no pixel has both fields defined.

    `plain`: r of the fields averaged over all draws. `by_reliability` and `by_jackknife`: corrected; either may exceed
    1 by its error. `reliability`: c of each model's fields, 1 where they have no noise. Errors are standard errors
    over draws, by jackknife; the noise of the draws alone, not that of training another network.
    """

    plain: Float64[Tensor, "n n"]
    by_reliability: Float64[Tensor, "n n"]
    by_reliability_stderr: Float64[Tensor, "n n"]
    by_jackknife: Float64[Tensor, "n n"]
    by_jackknife_stderr: Float64[Tensor, "n n"]
    reliability: Float64[Tensor, " n"]


def corrected(
    fields: Float[Tensor, "p k n q"],
    centres: Int[Tensor, " p"],
    measure: str = "off_centre",
    weights: Float[Tensor, " p"] | None = None,
) -> Corrected:
    """Agreement of n models' fields of p pixels in the same k draws.

    Args:
        fields: one per draw; a model without noise has the same in all.
        centres: the pixels' places among the q.
        measure: one of `locality.fields.similarity.MEASURES`.
        weights: how much each pixel counts, as `variance_weights` has it; None for all equally.

    Memory: twice that of the fields in float64. Time: as k similarities.

    Raises:
        BadInput: fewer than four draws.
    """
    draws = fields.shape[1]
    if draws < _LEAST:
        raise BadInput(f"A correction for the noise of draws needs at least {_LEAST} draws, got {draws}.")
    each = fields.double()
    share = torch.ones(len(each), dtype=torch.float64) if weights is None else weights.double()
    halves = torch.stack([each[:, 0::2].sum(dim=1), each[:, 1::2].sum(dim=1)], dim=1)  # [p 2 n q]
    plain, ratio, own = _agreement(halves, centres, measure, share)
    left_out = [_agreement(_without(halves, each, k), centres, measure, share)[:2] for k in range(draws)]
    plains, ratios = (torch.stack(parts) for parts in zip(*left_out, strict=True))
    return Corrected(
        plain,
        ratio,
        _spread(ratios),
        draws * plain - (draws - 1) * plains.mean(dim=0),
        _spread(plains),
        2.0 * own / (1.0 + own),
    )


def variance_weights(
    variance: Float[Tensor, " d"], pixels: Sequence[Pixel], shape: ImageShape
) -> Float64[Tensor, " p"]:
    """Variance of the images at each pixel, summed over channels, as shares of 1: a dead pixel has no field to compare.

    `variance` is that of every coordinate, as `locality.linear.correlation.pixel_variance` has it.
    """
    here = variance.double().reshape(shape.c, shape.h, shape.w).sum(dim=0)
    found = torch.stack([here[pixel.row, pixel.col] for pixel in pixels]).clamp(min=0.0)
    return found / found.sum()


def _agreement(
    halves: Float64[Tensor, "p 2 n q"], centres: Int[Tensor, " p"], measure: str, share: Float64[Tensor, " p"]
) -> tuple[Float64[Tensor, "n n"], Float64[Tensor, "n n"], Float64[Tensor, " n"]]:
    """Plain and corrected agreement, and h of every model, from the sums of the two halves of the draws."""
    whole = unit_fields(halves.sum(dim=1), centres, measure)
    first, second = unit_fields(halves, centres, measure).unbind(dim=1)
    across = first @ second.mT  # [p n n]
    own = across.diagonal(dim1=1, dim2=2)
    # The root of a mean is not the mean of roots: pixels differ in noise. A root of less than nothing is chance.
    scale = (own.clamp(min=0.0)[:, :, None] * own.clamp(min=0.0)[:, None]).sqrt()
    ratio = _mean((across + across.mT) / 2, share) / _mean(scale.where(across.isfinite(), torch.nan), share)
    plain = _mean(whole @ whole.mT, share)
    return plain, ratio.fill_diagonal_(1.0).where(plain.isfinite(), torch.nan), _mean(own, share)


def _without(
    halves: Float64[Tensor, "p 2 n q"], each: Float64[Tensor, "p k n q"], draw: int
) -> Float64[Tensor, "p 2 n q"]:
    left = halves.clone()
    left[:, draw % 2] -= each[:, draw]
    return left


def _mean(values: Float64[Tensor, "p *m n"], share: Float64[Tensor, " p"]) -> Float64[Tensor, "*m n"]:
    """By weight, over the pixels where a value is defined."""
    weight = share.reshape(-1, *(1,) * (values.ndim - 1)).expand_as(values).where(values.isfinite(), 0.0)
    total = weight.sum(dim=0)
    return (weight * values.nan_to_num()).sum(dim=0) / torch.where(total > 0, total, torch.nan)


def _spread(left_out: Float64[Tensor, "k n n"]) -> Float64[Tensor, "n n"]:
    """Standard error over draws from what is found without each."""
    count = len(left_out)
    return ((left_out - left_out.mean(dim=0)).square().sum(dim=0) * (count - 1) / count).sqrt()
