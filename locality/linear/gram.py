"""The eigendecomposition of fewer images than coordinates, from their n x n Gram matrix: exact, (n / d)^3 of the cost.

    G = X X^T / (n - 1) = V L V^T,   S = X^T X / (n - 1) = U L U^T,   U = X^T V (L (n - 1))^-1/2

X are the images less their mean. S has at most n - 1 directions with variance; in all others it is exactly zero.
8-bit images: G is formed in integers, without rounding.
"""

from __future__ import annotations

from collections.abc import Generator

import torch
from jaxtyping import Float64, Int8, Shaped
from torch import Tensor

from locality.errors import BadInput, NonFinite
from locality.linear.integers import EXACT_INT32, integer_product, shifted
from locality.linear.timed import with_time_left
from locality.linear.wiener import WienerFilter
from locality.types import ImageShape
from locality.work import Progress

_ROUNDING = 1e-12  # eigenvalues below this share of the largest are rounding
_BLOCK = 1024  # coordinates at a time


def decompose_images(
    data: Shaped[Tensor, "n d"], shape: ImageShape, *, device: str = "cpu"
) -> Generator[Progress, None, WienerFilter]:
    """The filter of these images, of rank n - 1 at most.

    Memory: 32 n^2 + 4 n d bytes at the peak, besides the images.

    Raises:
        BadInput: fewer than two images.
        NonFinite: a float image holds NaN or infinity.
    """
    n = len(data)
    if n < 2:
        raise BadInput(f"A covariance needs at least two images, got {n}.")
    yield Progress(0.0, 1.0, "Products of all pairs of images")
    gram = _gram(data.to(device))
    eigvals, weights = yield from with_time_left(lambda: torch.linalg.eigh(gram), n, 0.1, 0.8)
    kept = eigvals > _ROUNDING * eigvals.max().clamp(min=0.0)
    kept[-1] = True  # where nothing varies it is a basis of one direction without variance
    eigvals, weights = eigvals[kept].flip(0).clamp(min=0.0), weights[:, kept].flip(1)
    weights = weights / (eigvals * (n - 1)).sqrt().clamp(min=1e-150)
    mean = torch.empty(shape.d, dtype=torch.float64, device=device)
    eigvecs = torch.empty(shape.d, len(eigvals), device=device)
    for start in range(0, shape.d, _BLOCK):
        yield Progress(0.8 + 0.2 * start / shape.d, 1.0, "Principal components")
        block = slice(start, start + _BLOCK)
        mean[block], centred = _centred(data[:, block].to(device))
        eigvecs[block] = (centred.T @ weights).float()
    return WienerFilter(shape, n, mean, eigvals, eigvecs)


def _gram(data: Shaped[Tensor, "n d"]) -> Float64[Tensor, "n n"]:
    """Products of all pairs of centred images, over n - 1, in [-1, 1] units squared."""
    n = len(data)
    if data.dtype == torch.uint8:
        parts = (_products(shifted(part)) for part in data.split(EXACT_INT32 // 2, dim=1))
        gram = sum(parts, torch.zeros(n, n, dtype=torch.int64, device=data.device))
        rows, total = gram.sum(dim=1), gram.sum()
        gram.mul_(n).sub_(rows[:, None]).sub_(rows[None, :]).mul_(n).add_(total)  # n^2 times, still whole numbers
        return gram.double().div_(float(n * n) * (n - 1) * 127.5**2)
    if not bool(data.isfinite().all()):
        raise NonFinite("The images hold NaN or infinity; statistics need finite values. Clean or leave them out.")
    found = torch.zeros(n, n, dtype=torch.float64, device=data.device)
    for part in data.split(_BLOCK, dim=1):
        centred = _centred(part)[1]
        found += centred @ centred.T
    return found.div_(n - 1)


def _products(values: Int8[Tensor, "n k"]) -> Shaped[Tensor, "n n"]:
    """values @ values.T in whole numbers."""
    n = len(values)
    padded = torch.nn.functional.pad(values, (0, -values.shape[1] % 32, 0, -n % 32))
    return integer_product(padded, padded.T)[:n, :n].long()


def _centred(data: Shaped[Tensor, "n k"]) -> tuple[Float64[Tensor, " k"], Float64[Tensor, "n k"]]:
    """Mean in [-1, 1] units, and images less it; coordinates that do not vary are exactly zero."""
    n = len(data)
    if data.dtype == torch.uint8:
        sums = data.sum(dim=0, dtype=torch.int64)
        centred = data.double().mul_(n).sub_(sums).div_(127.5 * n)
        return sums.double() / n / 127.5 - 1.0, centred
    values = data.double()
    mean = values.mean(dim=0)
    return mean, values - mean
