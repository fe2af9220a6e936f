"""What a model takes as it was before its loops were compiled, and is where Numba does not run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from benchmarks.plain import masks_of
from benchmarks.timing import Spent, spent
from locality.denoisers.parts.compiled import kernels
from locality.types import Denoiser


@contextmanager
def without_numba() -> Iterator[None]:
    """As where Numba does not run."""
    loops = kernels()
    assert loops is not None, "Numba is in requirements.txt"
    sys.modules[loops.__name__] = None  # type: ignore[assignment]
    kernels.cache_clear()
    try:
        yield
    finally:
        sys.modules[loops.__name__] = loops
        kernels.cache_clear()


def anew(denoiser: Denoiser, x: Tensor, sigma: float) -> tuple[Tensor, Spent]:
    """With the way through the masks, or their tiles, to be found."""
    if (masks := masks_of(denoiser, sigma)) is not None:
        for made in ("steps", "alone", "tiles"):
            masks.__dict__.pop(made, None)
    return spent(lambda: denoiser(x, sigma))


def uncompiled(denoiser: Denoiser, x: Tensor, sigma: float, longest: float, part: int) -> Spent:
    """What a call takes without Numba: over all images, or told from a part of them where that takes too long."""
    with without_numba():
        return _uncompiled(denoiser, x, sigma, longest, part)


def _uncompiled(denoiser: Denoiser, x: Tensor, sigma: float, longest: float, part: int) -> Spent:
    some = _first(denoiser, part)
    if some is None:
        return anew(denoiser, x, sigma)[1]
    first, again = anew(some, x, sigma)[1], spent(lambda: some(x, sigma))[1]
    told = again.times(len(_holder(denoiser).bank) / part)
    if told.seconds <= longest:
        return anew(denoiser, x, sigma)[1]
    return replace(told, seconds=told.seconds + max(0.0, first.seconds - again.seconds))


def _holder(denoiser: Any) -> Any:
    """The part of a model that has the training images."""
    return getattr(denoiser, "inner", denoiser)


def _first(denoiser: Any, part: int) -> Any:
    """The same model over its first images; None where it has no more, or none."""
    inner = _holder(denoiser)
    if not hasattr(inner, "bank") or len(inner.bank) <= part:
        return None
    some = replace(inner, bank=inner.bank.pick(torch.arange(part)))
    return some if inner is denoiser else replace(denoiser, inner=some)
