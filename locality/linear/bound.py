"""Some principal components in place of all: a proven bound on what the others can change in a row of the filter.

K directions U are known with their image under S, S U = U T + R; the variance left over is one number in every other
direction, `rest`. With P = I - U U^T, C = P S P and f(x) = x / (x + sigma^2), any two images v, w (pixels, or their
sums over channels) weigh each other by v^T f(S) w, and this is off by no more than

    |v| |w| ||R|| / sigma^2 + sqrt(e(v) e(w)) + f(rest) |P v| |P w|,   e(v) = |P v|^2 f(v^T C v / |P v|^2)

The first term is how f answers the perturbation R; the second bounds v^T f(C) w by Cauchy and Schwarz, then by
Jensen, as f is concave; the third is what stands in for it. v^T C v is known exactly: what the variance of v has
beyond v^T U T U^T v + 2 (U^T v) (R^T v). Where it is less, second order in R replaces the first term: with
a(v) = |R (T + sigma^2)^-1 U^T v| <= k (sum_j r_j^2 (U^T v)_j^2 / (T_j + sigma^2)^2)^1/2, r_j the length of column j of
R and k the norm of R with columns of length one, and b(v)^2 = a(v)^2 + (||R|| |P v| / sigma^2)^2,

    |P v| a(w) + a(v) |P w| + b(v) b(w)

as (S + sigma^2)^-1 = G - G E G + G E (S + sigma^2)^-1 E G, where G is that of S without E = R U^T + U R^T.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float64
from torch import Tensor

from locality.errors import BadInput
from locality.linear.wiener import RowError, WienerFilter
from locality.types import ImageShape

ACCURACY = 0.01  # of a field, over its largest value: stated from the lowest noise level that keeps it
OF_NOTE = 0.01  # of the largest variance: pixels with less make no promise
NOTHING = 1e-12  # of the largest eigenvalue: less is rounding
_LEVELS = 2.0 ** torch.arange(-5.0, 7.0, 1 / 16, dtype=torch.float64)  # noise levels at which the bound is taken
_TOGETHER = 16  # of them at a time: each takes some numbers a pixel


class NothingPromised(BadInput):
    """Pixels whose variance lies mostly outside of the leading components: nothing bounds the error of their fields."""


@dataclass(frozen=True, eq=False)
class Variances:
    """What the bound asks of a covariance S beside its components: v^T S v of coordinates, and of sums over channels.

    float64, units of x0 squared.
    """

    single: Float64[Tensor, " d"]
    summed: Float64[Tensor, " hw"]

    @staticmethod
    def of(cov: Float64[Tensor, "d d"], shape: ImageShape) -> Variances:
        c, hw = shape.c, shape.h * shape.w
        summed = cov.reshape(c, hw, c, hw).diagonal(dim1=1, dim2=3).sum(dim=(0, 1))
        return Variances(cov.diagonal(), summed)


def conclude(
    shape: ImageShape,
    count: int,
    mean: Float64[Tensor, " d"],
    known: Variances,
    ritz: Float64[Tensor, " k"],
    basis: Float64[Tensor, "d k"],
    image: Float64[Tensor, "d k"],
    how: str = "",
) -> WienerFilter:
    """The filter of Ritz values and vectors of S and their image under it, with the bound of its error.

    `how` says how they were found where not by `lead`: then a bound beyond the fields' own size is stated, not refused.

    Raises:
        NothingPromised: no bound below the fields' own size holds at any noise level.
    """
    eigvals = ritz.clamp(min=0.0)
    residual = image - basis * eigvals
    rest = max(0.0, float(known.single.sum() - eigvals.sum()) / (len(mean) - len(ritz)))
    found = WienerFilter(shape, count, mean, eigvals, basis.float(), rest)
    return replace(found, error=_stated(found, known, basis, residual, how))


def _stated(
    found: WienerFilter,
    known: Variances,
    vectors: Float64[Tensor, "d k"],
    residual: Float64[Tensor, "d k"],
    how: str,
) -> RowError:
    """The bound from the lowest noise level at which fields keep the accuracy, else at which it is about the least."""
    c, hw = found.shape.c, found.shape.h * found.shape.w
    single = _Directions(1, known.single, vectors, residual)
    over_channels = (part.reshape(c, hw, -1).sum(dim=0) for part in (vectors, residual))
    summed = _Directions(c, known.summed, *over_channels)
    apart = _Apart.of(residual)
    fields, rows = (directions.bound(found, apart) for directions in (summed, single))
    from_here = fields.flip(0).cummax(dim=0).values.flip(0)
    start = int((from_here <= max(ACCURACY, 1.25 * float(from_here.min()))).nonzero()[0])
    useless = float(from_here[start]) >= 1.0
    if useless and not how:
        raise NothingPromised(
            f"{len(found.eigvals):,} leading components leave too much of some pixels out. Ask for more, or for all."
        )
    about = (
        f"proven for the {len(found.eigvals):,} leading components{how}, the others share one variance; "
        f"of pixels with {OF_NOTE:.0%} of the largest variance or more"
        + "; more components would promise something"
        * useless
    )
    return RowError(float(_LEVELS[start]), float(from_here[start]), float(rows[start:].max()), about)


@dataclass(frozen=True, eq=False)
class _Apart:
    """What S U and U T differ by: the norm of R, lengths of its columns [k], its norm with columns of length one."""

    norm: float
    lengths: Float64[Tensor, " k"]
    together: float

    @staticmethod
    def of(residual: Float64[Tensor, "d k"]) -> _Apart:
        gram = residual.T @ residual
        lengths = gram.diagonal().clamp(min=0.0).sqrt()
        unit = lengths.clamp(min=max(NOTHING * float(lengths.max()), 1e-150))
        squares = (torch.linalg.eigvalsh(matrix)[-1] for matrix in (gram, gram / unit[:, None] / unit))
        norm, together = (float(square.clamp(min=0.0).sqrt()) for square in squares)
        return _Apart(norm, unit, together)


@dataclass(frozen=True, eq=False)
class _Directions:
    """Pixels, or sums over the channels of each: their squared length, variance [p], and U^T v and R^T v [p, k]."""

    length: int
    variance: Float64[Tensor, " p"]
    components: Float64[Tensor, "p k"]
    residual: Float64[Tensor, "p k"]

    def bound(self, found: WienerFilter, apart: _Apart) -> Float64[Tensor, " levels"]:
        """Largest error over the largest value of a row, for noise levels from each to the next.

        Both fall with the noise: the error is that of the lower level, the value that of the higher one. A row's
        largest value is no less than its own. Directions that hardly vary hardly have a row and are left out.
        """
        parts = (_LEVELS[i : i + _TOGETHER + 1] for i in range(0, len(_LEVELS) - 1, _TOGETHER))
        return torch.cat([self._bound(found, apart, part.square().to(self.variance)) for part in parts])

    def _bound(self, found: WienerFilter, apart: _Apart, noise: Float64[Tensor, " some"]) -> Float64[Tensor, " levels"]:
        squares = self.components.square()
        outside = (self.length - squares.sum(dim=1)).clamp(min=0.0)
        shared = 2.0 * (self.components * self.residual).sum(dim=1)
        left = (self.variance - squares @ found.eigvals - shared).clamp(min=0.0)  # v^T C v
        rest = found.rest / (found.rest + noise)
        gains = found.eigvals[:, None] / (found.eigvals[:, None] + noise)
        own = squares @ gains  # of f(S) itself: no less than this, less the first term
        unknown = (outside[:, None] * left[:, None] / (left[:, None] + outside[:, None] * noise)).nan_to_num().sqrt()
        stand_in = outside.sqrt()
        per_component = (apart.lengths[:, None] / (found.eigvals[:, None] + noise)).square()
        first = apart.together * (squares @ per_component).sqrt()
        second = (first.square() + (apart.norm / noise).square() * outside[:, None]).sqrt()
        most = self.length * apart.norm / noise
        inside = stand_in[:, None] * first.amax(dim=0) + first * stand_in.max()
        moved = torch.minimum(inside + second * second.amax(dim=0), most)
        itself = torch.minimum(2.0 * stand_in[:, None] * first + second.square(), most)
        error = unknown * unknown.amax(dim=0) + rest * (stand_in * stand_in.max())[:, None] + moved
        peak = (own - itself).clamp(min=1e-300)
        of_note = self.variance >= OF_NOTE * self.variance.max()
        found_here: Tensor = (error[:, :-1] / peak[:, 1:])[of_note].amax(dim=0)
        return found_here
