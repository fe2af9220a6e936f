"""Whether the memory holds a decomposition, and what it would hold instead."""

from __future__ import annotations

from locality.device import Compute
from locality.errors import TooLarge
from locality.linear.sketch import fitting_rank
from locality.memory import free_memory
from locality.types import ImageShape


def check_budget(n: int, shape: ImageShape, compute: Compute, rank: int = 0) -> None:
    """Refuse a decomposition, or so many leading components, that the memory does not hold; say what it would hold.

    Raises:
        TooLarge: with the largest number of images and the largest square images that fit.
    """
    budget, d = compute.decomposition or free_memory(), shape.d
    need = _needed(n, d, rank)
    if budget is None or need <= budget:
        return
    few = next((k for k in (2**i for i in range(20, 0, -1)) if k < min(n, d) and _needed(k, d) <= budget), 0)
    side = next((s for s in range(max(shape.h, shape.w), 0, -1) if _needed(n, shape.c * s * s) <= budget), 0)
    fits = [f"images of {side}x{side}"] * (side > 0) + [f"the first {few:,} of them (rank {few - 1:,})"] * (few > 0)
    if n >= d:
        ranks = (2**i for i in range(14, 5, -1))
        fits += [f"{k:,} leading components (--leading {k})" for k in ranks if k < d and _needed(n, d, k) <= budget][:1]
    fits += [f"{k:,} of them, nearly (--approximate {k})" for k in [fitting_rank(n, shape, budget)] if k]
    fits += ["one field at a time without it (field --solve)"] * (24 * d * d <= budget)
    raise TooLarge(
        f"The decomposition of {n:,} images of {shape}", need, budget, f"What fits: {' or '.join(fits) or 'nothing'}."
    )


def _needed(n: int, d: int, rank: int = 0) -> int:
    """Bytes at the peak, measured: two matrices of LAPACK's beside the covariance and its basis, or the Gram matrix."""
    if n < d:
        return 40 * n * n + 6 * n * d
    return 32 * d * d + 64 * d * rank if rank else 42 * d * d
