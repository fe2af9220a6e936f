"""The leading principal components of many large images: filtered subspace iteration from random directions.

A full decomposition costs d^3 and more; components far below the noise hardly count in a field (`bound`).
Source: Zhou, Saad 2007 (SIAM J. Matrix Anal. Appl. 29(3)) for the filter.
"""

from __future__ import annotations

from collections.abc import Generator

import torch
from jaxtyping import Float64
from torch import Tensor

from locality.errors import BadInput
from locality.linear.bound import NOTHING, Variances, conclude
from locality.linear.wiener import WienerFilter
from locality.types import ImageShape
from locality.work import Progress

LARGE = 8192  # coordinates from which the leading components are taken unless all are asked for
RANK = 1024  # how many of them
_CYCLES = 2  # each filters and turns to principal components
_SPARE = 0.1  # directions carried along, per component


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
            basis = _filtered(cov, basis, image, max(float(ritz[-1]), NOTHING * float(ritz[0]), 1e-300))
    yield Progress(_CYCLES + 1, _CYCLES + 2, "Bound of the error")
    return conclude(shape, count, mean, Variances.of(cov, shape), ritz[:rank], basis[:, :rank], image[:, :rank])


def _filtered(
    cov: Float64[Tensor, "d d"], basis: Float64[Tensor, "d m"], image: Float64[Tensor, "d m"], edge: float
) -> Float64[Tensor, "d m"]:
    """T_3(2 S / edge - 1) applied to a basis: Chebyshev's polynomial is at most 1 below the edge and grows above."""
    first = image.mul(2 / edge).sub_(basis)
    second = torch.addmm(first, cov, first, alpha=4 / edge, beta=-2.0).sub_(basis)
    return torch.addmm(second, cov, second, alpha=4 / edge, beta=-2.0).sub_(first)
