"""Averages over all square patches that cover a pixel, on 8-bit images: sums over windows fused with the softmax."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor

from locality.denoisers.parts.bank import Bank
from locality.denoisers.parts.patch_kernels import LANES, averages, normalisers
from locality.denoisers.parts.shards import merged, over_parts
from locality.posterior import PosteriorMean
from locality.work import heartbeat, within

_QUERIES = 8  # noisy images whose sums a core's cache holds
PART = 1024  # images that are one piece of work
FIRST = 0.32  # of the time, the first pass: from 0.25 (windows of most of the image) to 0.45 (one noisy image)


def memory(noisy: int, d: int, hw: int) -> int:
    """Bytes of a call's arrays in every thread, and of those that all share."""
    each = 4 * LANES * (d + 12 * hw + noisy * (d + 2 * hw)) + 3 * PART * d
    return torch.get_num_threads() * each + 4 * LANES * noisy * (d + 6 * hw)


def patch_mean(bank: Bank, x: Float[Tensor, "b d"], size: int, sigma: float) -> Float[Tensor, "b d"]:
    """Mean over the windows that cover a pixel of their posterior means there; no gradient, threads change nothing."""
    blocks = x.detach().split(_QUERIES)
    found = []
    for number, block in enumerate(blocks):
        with within(number / len(blocks), (number + 1) / len(blocks)):
            found.append(_block(bank, block, size, sigma))
    return torch.cat(found).to(x)


def _block(bank: Bank, x: Float[Tensor, "b d"], size: int, sigma: float) -> Float[Tensor, "b d"]:
    c, h, w = bank.shape
    greys = ((x.double() + 1.0) * 127.5).float().repeat_interleave(LANES, dim=1).numpy()
    scale = np.float32(-0.5 / (127.5 * sigma) ** 2)
    shape = (len(x), (h - size + 1) * (w - size + 1), LANES)

    def normaliser(bank: Bank, x: Float[Tensor, "b d"]) -> PosteriorMean:
        peak, weight = np.full(shape[:2], -1e30), np.zeros(shape[:2])
        for tops, sums in each_part(bank, lambda part: normalisers(part, greys, c, h, w, size, scale)):
            top = tops.reshape(shape).astype(np.float64)
            highest = np.maximum(peak, top.max(axis=2))
            new = (sums.reshape(shape) * np.exp(top - highest[..., None])).sum(axis=2)
            peak, weight = highest, weight * np.exp(peak - highest) + new
        known = torch.from_numpy(weight)
        return PosteriorMean(torch.from_numpy(peak), known, known)

    with within(0.0, FIRST):
        found = merged(bank, x, normaliser).log_weight().numpy()
    log_weight = np.repeat(found.astype(np.float32), LANES, axis=1)

    def weighed(bank: Bank, x: Float[Tensor, "b d"]) -> Float64[np.ndarray, "b d"]:
        total = np.zeros(x.shape)
        for sums in each_part(bank, lambda part: averages(part, greys, c, h, w, size, scale, log_weight)):
            total += sums.reshape(*x.shape, LANES).sum(axis=2, dtype=np.float64)
        return total

    with within(FIRST, 1.0):
        total = np.sum(over_parts(bank, x, weighed), axis=0)
    rows, cols = (np.convolve(np.ones(n - size + 1), np.ones(size)) for n in (h, w))
    cover = np.tile(np.outer(rows, cols).ravel(), c)
    return torch.from_numpy(total / cover / 127.5 - 1.0)


def each_part(bank: Bank, work: Callable[[UInt8[np.ndarray, "k d"]], Any], size: int = PART) -> Iterator[Any]:
    """work(part) for all parts of `size` images in order, on all threads; a heartbeat after each."""
    starts = range(0, len(bank), size)
    pool = ThreadPoolExecutor(torch.get_num_threads(), "averages")
    try:
        parts = pool.map(lambda start: work(bank.stored(start, min(start + size, len(bank))).numpy()), starts)
        for done, part in enumerate(parts, start=1):
            yield part
            heartbeat(done / len(starts))
    finally:
        pool.shutdown(cancel_futures=True)
