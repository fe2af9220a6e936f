"""The kernel distance (KID) between two sets of images, seen through features: unbiased for any number of them."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from locality.errors import BadInput
from locality.metrics.features import check_pair, jackknife
from locality.metrics.summary import Summary

_BLOCK = 1024  # rows of a block of kernel values


def kernel_sums(x: Float[Tensor, "n f"]) -> Float64[Tensor, " n"]:
    """sum_{j != i} k(x_i, x_j), k(a, b) = (a.b / f + 1)^3: what `kid` needs of a large fixed set, made once."""
    sums = torch.empty(len(x), dtype=torch.float64)
    for start in range(0, len(x), _BLOCK):
        block = x[start : start + _BLOCK].double()
        rows, _ = _kernel(block, x)
        own = (block.square().sum(dim=1) / x.shape[1] + 1.0) ** 3
        sums[start : start + len(block)] = rows - own
    return sums


def kid(x: Float[Tensor, "n f"], y: Float[Tensor, "m g"], *, within_y: Float64[Tensor, " m"] | None = None) -> Summary:
    """Unbiased squared maximum mean discrepancy with the kernel (a.b / f + 1)^3; can be negative.

        mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean k(x_i, y_j)

    The standard error is a jackknife over the images of x and of y, nan where a set has two images. n is that of x.

    Args:
        within_y: `kernel_sums(y)`, where it is known.
    Raises:
        BadInput: another number of features, or fewer than two images.
        NonFinite: NaN or infinity.
    Source: Binkowski et al. 2018 (arXiv 1801.01401).
    """
    x, y = check_pair(x, y)
    if min(len(x), len(y)) < 2:
        raise BadInput(f"{min(len(x), len(y))} image: KID needs at least two in each set.")
    rows, cols = _kernel(x, y)
    own = (kernel_sums(x), kernel_sums(y) if within_y is None else within_y)
    n, m = len(x), len(y)
    inside = [float(sums.sum()) / (k * (k - 1)) for sums, k in zip(own, (n, m), strict=True)]
    across = float(rows.sum()) / (n * m)
    value = inside[0] + inside[1] - 2.0 * across
    if min(n, m) < 3:
        return Summary(value, math.nan, n)
    parts = [
        _left_out(own[0], rows, others=m) + inside[1],
        _left_out(own[1], cols, others=n) + inside[0],
    ]
    return Summary(value, math.hypot(*map(jackknife, parts)), n)


def _kernel(x: Float64[Tensor, "n f"], y: Float[Tensor, "m f"]) -> tuple[Float64[Tensor, " n"], Float64[Tensor, " m"]]:
    """Sums of k(x_i, y_j) over j and over i, a block of y at a time."""
    rows, cols = torch.zeros(len(x), dtype=torch.float64), torch.empty(len(y), dtype=torch.float64)
    for start in range(0, len(y), _BLOCK):
        values = (x @ y[start : start + _BLOCK].double().T / x.shape[1] + 1.0) ** 3
        rows += values.sum(dim=1)
        cols[start : start + _BLOCK] = values.sum(dim=0)
    return rows, cols


def _left_out(own: Float64[Tensor, " n"], across: Float64[Tensor, " n"], *, others: int) -> Float64[Tensor, " n"]:
    """What of the discrepancy changes with one image left out at a time."""
    n = len(own)
    inside = (own.sum() - 2.0 * own) / ((n - 1) * (n - 2))
    return inside - 2.0 * (across.sum() - across) / ((n - 1) * others)
