"""The leading principal components of many large images, with a proven bound on what the others can change.

A full decomposition costs d^3 and more; components far below the noise hardly count in a field. Filtered subspace
iteration from random directions finds K of them, S U = U T + R; the variance left over is one number in every other
direction, `rest`. With P = I - U U^T, C = P S P and f(x) = x / (x + sigma^2), any two images v, w (pixels, or their
sums over channels) weigh each other by v^T f(S) w, and this is off by no more than

    |v| |w| ||R|| / sigma^2 + sqrt(e(v) e(w)) + f(rest) |P v| |P w|,   e(v) = |P v|^2 f(v^T C v / |P v|^2)

The first term is how f answers the perturbation R; the second bounds v^T f(C) w by Cauchy and Schwarz, then by
Jensen, as f is concave; the third is what stands in for it. v^T C v is known exactly: what the variance of v has
beyond v^T U T U^T v + 2 (U^T v) (R^T v).
Source: Zhou, Saad 2007 (SIAM J. Matrix Anal. Appl. 29(3)) for the filter.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float64
from torch import Tensor

from locality.errors import BadInput
from locality.linear.wiener import RowError, WienerFilter
from locality.types import ImageShape
from locality.work import Progress

LARGE = 8192  # coordinates from which the leading components are taken unless all are asked for
RANK = 1024  # how many of them
ACCURACY = 0.01  # of a field, over its largest value: stated from the lowest noise level that keeps it
OF_NOTE = 0.01  # of the largest variance: pixels with less make no promise
_NOTHING = 1e-12  # of the largest eigenvalue: less is rounding, and no edge for the filter
_CYCLES = 2  # each filters and turns to principal components
_SPARE = 0.1  # directions carried along, per component
_LEVELS = 2.0 ** torch.arange(-5.0, 7.0, 1 / 16, dtype=torch.float64)  # noise levels at which the bound is taken


class NothingPromised(BadInput):
    """Pixels whose variance lies mostly outside of the leading components: nothing bounds the error of their fields."""


def lead(
    count: int, mean: Float64[Tensor, " d"], cov: Float64[Tensor, "d d"], shape: ImageShape, rank: int
) -> Generator[Progress, None, WienerFilter]:
    """The filter of the `rank` largest components; its `error` is the bound. Memory: 64 d rank bytes beside `cov`.

    Raises:
        BadInput: a rank outside of 1 ... d - 1.
        NothingPromised: no bound below the fields' own size holds at any noise level.
    """
    d = len(cov)
    if not 0 < rank < d:
        raise BadInput(f"{rank:,} leading components of images of {d:,} coordinates: give 1 to {d - 1:,}.")
    generator = torch.Generator().manual_seed(0)
    basis = torch.randn(d, min(d, rank + max(8, int(_SPARE * rank))), generator=generator).to(cov)
    basis = cov @ basis
    for number in range(_CYCLES + 1):
        yield Progress(number, _CYCLES + 2, "Leading components")
        basis = torch.linalg.qr(basis).Q
        image = cov @ basis
        ritz, turn = torch.linalg.eigh(basis.T @ image)
        ritz, basis, image = ritz.flip(0), basis @ turn.flip(1), image @ turn.flip(1)
        if number < _CYCLES:
            basis = _filtered(cov, basis, image, max(float(ritz[-1]), _NOTHING * float(ritz[0]), 1e-300))
    eigvals, vectors, image = ritz[:rank].clamp(min=0.0), basis[:, :rank], image[:, :rank]
    yield Progress(_CYCLES + 1, _CYCLES + 2, "Bound of the error")
    residual = image - vectors * eigvals
    apart = float(torch.linalg.eigvalsh(residual.T @ residual)[-1].clamp(min=0.0).sqrt())
    rest = max(0.0, float(cov.trace() - eigvals.sum()) / (d - rank))
    found = WienerFilter(shape, count, mean, eigvals, vectors.float(), rest)
    return replace(found, error=_stated(found, cov, vectors, residual, apart))


def _filtered(
    cov: Float64[Tensor, "d d"], basis: Float64[Tensor, "d m"], image: Float64[Tensor, "d m"], edge: float
) -> Float64[Tensor, "d m"]:
    """T_3(2 S / edge - 1) applied to a basis: Chebyshev's polynomial is at most 1 below the edge and grows above."""
    first = image.mul(2 / edge).sub_(basis)
    second = torch.addmm(first, cov, first, alpha=4 / edge, beta=-2.0).sub_(basis)
    return torch.addmm(second, cov, second, alpha=4 / edge, beta=-2.0).sub_(first)


def _stated(
    found: WienerFilter,
    cov: Float64[Tensor, "d d"],
    vectors: Float64[Tensor, "d k"],
    residual: Float64[Tensor, "d k"],
    apart: float,
) -> RowError:
    """The bound from the lowest noise level at which fields keep the accuracy, else at which it is about the least."""
    c, hw = found.shape.c, found.shape.h * found.shape.w
    single = _Directions(1, cov.diagonal(), vectors, residual)
    within = cov.reshape(c, hw, c, hw).diagonal(dim1=1, dim2=3).sum(dim=(0, 1))
    over_channels = (part.reshape(c, hw, -1).sum(dim=0) for part in (vectors, residual))
    summed = _Directions(c, within, *over_channels)
    fields, rows = (directions.bound(found, apart) for directions in (summed, single))
    from_here = fields.flip(0).cummax(dim=0).values.flip(0)
    start = int((from_here <= max(ACCURACY, 1.25 * float(from_here.min()))).nonzero()[0])
    if float(from_here[start]) >= 1.0:
        raise NothingPromised(
            f"{len(found.eigvals):,} leading components leave too much of some pixels out. Ask for more, or for all."
        )
    about = (
        f"proven for the {len(found.eigvals):,} leading components, the others share one variance; "
        f"of pixels with {OF_NOTE:.0%} of the largest variance or more"
    )
    return RowError(float(_LEVELS[start]), float(from_here[start]), float(rows[start:].max()), about)


@dataclass(frozen=True, eq=False)
class _Directions:
    """Pixels, or sums over the channels of each: their squared length, variance [p], and U^T v and R^T v [p, k]."""

    length: int
    variance: Float64[Tensor, " p"]
    components: Float64[Tensor, "p k"]
    residual: Float64[Tensor, "p k"]

    def bound(self, found: WienerFilter, apart: float) -> Float64[Tensor, " levels"]:
        """Largest error over the largest value of a row, for noise levels from each to the next.

        Both fall with the noise: the error is that of the lower level, the value that of the higher one. A row's
        largest value is no less than its own. Directions that hardly vary hardly have a row and are left out.
        """
        squares, noise = self.components.square(), _LEVELS.square()
        outside = (self.length - squares.sum(dim=1)).clamp(min=0.0)
        shared = 2.0 * (self.components * self.residual).sum(dim=1)
        left = (self.variance - squares @ found.eigvals - shared).clamp(min=0.0)  # v^T C v
        rest = found.rest / (found.rest + noise)
        gains = found.eigvals[:, None] / (found.eigvals[:, None] + noise)
        own = squares @ gains  # of f(S) itself: no less than this, less the first term
        unknown = (outside[:, None] * left[:, None] / (left[:, None] + outside[:, None] * noise)).nan_to_num().sqrt()
        stand_in = outside.sqrt()
        moved = self.length * apart / noise
        error = unknown * unknown.amax(dim=0) + rest * (stand_in * stand_in.max())[:, None] + moved
        peak = (own - moved).clamp(min=1e-300)
        of_note = self.variance >= OF_NOTE * self.variance.max()
        found_here: Tensor = (error[:, :-1] / peak[:, 1:])[of_note].amax(dim=0)
        return found_here
