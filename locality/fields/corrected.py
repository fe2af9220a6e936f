"""Agreement of fields corrected for the noise of averaging over draws, which makes every r too small.

A field averaged over K draws is the field and noise. Against one without noise r is sqrt(c) times too small, c being
its reliability, the share of the field in its squared length; two networks on the same draws share noise, and r may be
too large. Noise of different draws is independent: the mean product of model a's field in one draw and model b's in
another, over all pairs of different draws, has no noise in it. With s_ab that product over the lengths of both fields,

    c_a = s_aa,    r = mean s_ab / mean sqrt(s_aa s_bb)    (means over pixels, by weight)

which is split-half reliability (c = 2 h / (1 + h), r_x / sqrt(h_a h_b)) over all splits at once, without its halved
number of draws. Interval: draws taken again with repeats (bootstrap), a draw never beside itself.
Sources: Spearman 1904 (Am. J. Psychol. 15:72), 1910; Brown 1910 (Br. J. Psychol. 3); Hoeffding 1948 (Ann. Math. Stat.
19) for means over pairs; Efron 1979 (Ann. Statist. 7).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor
from torch.nn import functional

from locality.errors import BadInput
from locality.types import ImageShape, Pixel

LEAST = 4  # draws: fewer taken again are too often one
RESAMPLES = 400
_ROUNDING = 1e-12  # of the norms of a field's draws: less than this left over is rounding, not a pattern


@dataclass(frozen=True, eq=False)
class Corrected:
    """Of all pairs of n models, means over pixels by weight; nan where no pixel has both fields defined.

    `value`: corrected for the noise of the draws; may exceed 1 by its error. `stderr`, `low`, `high`: its standard
    error and 95 % interval over draws, which know nothing of training another network. `plain`: r of the fields
    averaged over all draws. `reliability`: c of each model's averaged fields, 1 where they have no noise. `pixels`:
    those where both fields are defined.
    """

    value: Float64[Tensor, "*s n n"]
    stderr: Float64[Tensor, "*s n n"]
    low: Float64[Tensor, "*s n n"]
    high: Float64[Tensor, "*s n n"]
    plain: Float64[Tensor, "*s n n"]
    reliability: Float64[Tensor, "*s n"]
    pixels: Int[Tensor, "*s n n"]


class CorrectedTally:
    """Adds up the agreement of n models' fields in the same k draws, chunk of pixels by chunk.

    `intervals`: with errors over draws; nan without.
    """

    def __init__(self, intervals: bool = True) -> None:
        self._draws, self._intervals = 0, intervals
        self._sums: dict[str, tuple[Tensor, Tensor]] = {}  # of values by weight, and of the weights

    def add(
        self, vectors: Float64[Tensor, "p k n q"], norms: Float64[Tensor, "p k n"], share: Float64[Tensor, " p"]
    ) -> None:
        """Fields of p more pixels.

        Args:
            vectors: each draw's field, made so that the cosine of two is the measure.
            norms: of the fields before that, which rounding is measured by.
            share: how much each pixel counts.
        Raises:
            BadInput: fewer than four draws.
        """
        self._draws = vectors.shape[1]
        if self._draws < LEAST:
            raise BadInput(f"A correction for the noise of draws needs at least {LEAST} draws, got {self._draws}.")
        for one, norm, counts in zip(vectors, norms, share.tolist(), strict=True):
            whole = one.mean(dim=0)
            length = whole.norm(dim=-1)
            length = torch.where(length > _ROUNDING * norm.mean(dim=0), length, torch.nan)
            scale = length[:, None] * length
            across = _different(one, _resamples(self._draws)[: None if self._intervals else 1]) / scale
            own = across.diagonal(dim1=1, dim2=2)
            both = (own.clamp(min=0.0)[:, :, None] * own.clamp(min=0.0)[:, None]).sqrt()  # below nothing is chance
            self._count("across", across, counts)
            self._count("scale", both, counts)
            self._count("own", own[0], counts)
            self._count("plain", (whole @ whole.T / scale).clamp(-1.0, 1.0), counts)
            self._count("pixels", scale / scale, 1.0)

    def result(self) -> Corrected:
        """The agreement over all pixels."""
        # The root of a mean is not the mean of roots: pixels differ in noise.
        plain, scale = self._mean("plain"), self._mean("scale")
        every = self._mean("across") / torch.where(scale > 0, scale, torch.nan)  # no pixel's draws agree: not defined
        every = torch.where(torch.eye(plain.shape[0], dtype=torch.bool), plain / plain, every)
        value, again = every[0], every[1:] if self._intervals else torch.full((2, *plain.shape), torch.nan).double()
        away = (again - again.mean(dim=0)) * (self._draws / (self._draws - 1)) ** 0.5  # their variance is that short
        low, high = (value + torch.quantile(away, level, dim=0) for level in (0.025, 0.975))
        pixels = self._sums["pixels"][1].to(torch.int64)
        return Corrected(value, away.std(dim=0), low, high, plain, self._mean("own"), pixels)

    def _count(self, name: str, values: Tensor, counts: float) -> None:
        """Add a pixel's values where they are defined."""
        total, weight = self._sums.get(name, (torch.zeros(()), torch.zeros(())))
        self._sums[name] = (total + counts * values.nan_to_num(), weight + counts * values.isfinite().double())

    def _mean(self, name: str) -> Tensor:
        total, weight = self._sums[name]
        return total / torch.where(weight > 0, weight, torch.nan)


def memory_per_pixel(draws: int, models: int, size: int) -> int:
    """Bytes that the tallies take for a pixel, the fields included."""
    rows = 1 + RESAMPLES
    return 8 * (8 * draws * models * size + 2 * (draws * models) ** 2 + rows * models**2 * (draws + 6))


def noise_of_mean(each: Float[Tensor, "k q"], own: int) -> tuple[float, float]:
    """How much of the squared length of a field averaged over k draws is their noise: what two different draws lack.

    Of the field less its mean value, as Pearson's r compares it: with all pixels, and without the pixel `own`. 1 less
    its share of that length is the reliability c, and r / sqrt(c) the r of a field without noise, against another
    without. nan for one draw.
    """
    found = []
    for kept in (each, torch.cat([each[:, :own], each[:, own + 1 :]], dim=1)):
        rows = kept.double() - kept.double().mean(dim=1, keepdim=True)
        count, mean = len(rows), rows.mean(dim=0)
        squares = float(rows.square().sum()) / count
        found.append((squares - float(mean.square().sum())) / (count - 1) if count > 1 else math.nan)
    return found[0], found[1]


def variance_weights(
    variance: Float[Tensor, " d"], pixels: Sequence[Pixel], shape: ImageShape
) -> Float64[Tensor, " p"]:
    """Variance of the images at each pixel, summed over channels, as shares of 1: a dead pixel has no field to compare.

    Where none of the pixels varies all count alike.

    `variance` is that of every coordinate, as `locality.linear.correlation.pixel_variance` has it.
    """
    here = variance.double().reshape(shape.c, shape.h, shape.w).sum(dim=0)
    found = torch.stack([here[pixel.row, pixel.col] for pixel in pixels]).clamp(min=0.0)
    return found / found.sum() if bool(found.any()) else torch.full_like(found, 1.0 / len(found))


@lru_cache(maxsize=4)
def _resamples(draws: int) -> Float64[Tensor, "r k"]:
    """How often each draw is taken: once, then again with repeats."""
    taken = torch.randint(draws, (RESAMPLES, draws), generator=torch.Generator().manual_seed(0))
    counts = functional.one_hot(taken, draws).sum(dim=1)
    several = counts[(counts > 0).sum(dim=1) > 1]
    return torch.cat([torch.ones(1, draws, dtype=torch.int64), several]).double()


def _different(one: Float64[Tensor, "k n q"], counts: Float64[Tensor, "r k"]) -> Float64[Tensor, "r n n"]:
    """Mean product of two models' fields in two different draws."""
    draws, models = one.shape[:2]
    flat = one.flatten(0, 1)
    gram = (flat @ flat.T).reshape(draws, models, draws, models)
    every = torch.einsum("rnlm,rl->rnm", torch.tensordot(counts, gram, dims=([1], [0])), counts)
    squares = counts.square()
    same = torch.tensordot(squares, one @ one.mT, dims=([1], [0]))
    pairs = counts.sum(dim=1).square() - squares.sum(dim=1)
    found: Tensor = (every - same) / pairs[:, None, None]
    return found
