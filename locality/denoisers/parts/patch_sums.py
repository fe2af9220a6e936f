"""Averages over all square patches that cover a pixel, on 8-bit images: sums over windows fused with the softmax.

Sixteen images lie side by side; windows are sums of sums over 1, 2, 4, ... places, so that nothing running is rounded.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, no_type_check

import numpy as np
import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor

from locality.denoisers.parts.bank import Bank
from locality.denoisers.parts.shards import merged, over_parts
from locality.denoisers.parts.walk_kernels import kept
from locality.posterior import PosteriorMean
from locality.work import heartbeat, within

_LANES = 16
_QUERIES = 8  # noisy images whose sums a core's cache holds
_PART = 1024  # images that are one piece of work
_FAR = 1e9  # grey level of lanes without an image: e^-80 of its weight is left
_NODES = np.cos((np.arange(64) + 0.5) * np.pi / 64) * np.log(2) / 2
_EXP = tuple(np.polyfit(_NODES, np.exp(_NODES), 6).astype(np.float32).tolist())


@kept(fastmath={"contract"})
@no_type_check
def _exp(values, bits):
    """values = e^values, for values <= 0; below -80 as -80. `bits` is room for as many whole numbers."""
    c0, c1, c2, c3, c4, c5, c6 = _EXP
    for i in range(len(values)):
        y = values[i] if values[i] > np.float32(-80.0) else np.float32(-80.0)
        n = np.floor(y * np.float32(1.442695041) + np.float32(0.5))
        f = y - n * np.float32(0.693359375) - n * np.float32(-2.12194440e-4)
        bits[i] = (np.int32(n) + np.int32(127)) << np.int32(23)
        p = np.float32(c0) * f + np.float32(c1)
        p = p * f + np.float32(c2)
        p = p * f + np.float32(c3)
        p = p * f + np.float32(c4)
        p = p * f + np.float32(c5)
        values[i] = p * f + np.float32(c6)
    powers = bits.view(np.float32)
    for i in range(len(values)):
        values[i] *= powers[i]


@kept()
@no_type_check
def _box(values, places, inner, size, found):
    """found[j] = sum of values[j .. j + size) along `places` steps of `inner` numbers; `values` is overwritten."""
    width, offset, left, length = 1, 0, size, places
    n = (places - size + 1) * inner
    while left:
        if left % 2:
            some = values[offset * inner : offset * inner + n]
            if offset:
                for i in range(n):
                    found[i] += some[i]
            else:
                for i in range(n):
                    found[i] = some[i]
            offset += width
        left //= 2
        if left:
            length -= width
            ahead = values[width * inner : (width + length) * inner]
            for i in range(length * inner):
                values[i] += ahead[i]
            width *= 2


@kept(fastmath={"contract"})
@no_type_check
def _logits(x, turned, c, h, w, size, scale, near, line, down, found):
    """scale |x - x_i|^2 over every window inside the image: [h' w' lanes] in `found`; x is repeated for all lanes."""
    n, row, wide = h * w * _LANES, w * _LANES, (w - size + 1) * _LANES
    near[:n] = 0.0
    for channel in range(c):
        mine, theirs = x[channel * n : (channel + 1) * n], turned[channel * n : (channel + 1) * n]
        for i in range(n):
            apart = mine[i] - theirs[i]
            near[i] += apart * apart
    for k in range(h):
        _box(near[k * row : (k + 1) * row], w, _LANES, size, line)
        to = down[k * wide : (k + 1) * wide]
        for i in range(wide):
            to[i] = line[i] * scale
    _box(down, h, wide, size, found)


@kept()
@no_type_check
def _turned(images, first):
    d = images.shape[1]
    found = np.full((d, _LANES), np.float32(_FAR), np.float32)
    for k in range(min(_LANES, len(images) - first)):
        for p in range(d):
            found[p, k] = np.float32(images[first + k, p])
    return found.reshape(-1)


@kept(fastmath={"contract"})
@no_type_check
def normalisers(images, x, c, h, w, size, scale):
    """Largest logits and sums of e^(logit - largest) of every window, over the images of each lane: [b h' w' lanes]."""
    n = (h - size + 1) * (w - size + 1) * _LANES
    near, line = np.empty(h * w * _LANES, np.float32), np.empty(w * _LANES, np.float32)
    down, found = np.empty(h * w * _LANES, np.float32), np.empty(h * w * _LANES, np.float32)
    old = np.empty(n, np.float32)
    bits = np.empty(n, np.int32)
    peaks, weights = np.full((len(x), n), np.float32(-1e30)), np.zeros((len(x), n), np.float32)
    for first in range(0, len(images), _LANES):
        turned = _turned(images, first)
        for q in range(len(x)):
            _logits(x[q], turned, c, h, w, size, scale, near, line, down, found)
            peak, weight = peaks[q], weights[q]
            for i in range(n):
                top = found[i] if found[i] > peak[i] else peak[i]
                old[i] = peak[i] - top
                found[i] -= top
                peak[i] = top
            _exp(found[:n], bits)
            _exp(old, bits)
            for i in range(n):
                weight[i] = weight[i] * old[i] + found[i]
    return peaks, weights


@kept(fastmath={"contract"})
@no_type_check
def averages(images, x, c, h, w, size, scale, log_weights):
    """Sum over images and windows that cover a pixel of e^(logit - log_weight) times its grey level: [b d lanes]."""
    high, wide, all_pixels = h - size + 1, (w - size + 1) * _LANES, h * w * _LANES
    tall, broad, edge = h + size - 1, w + size - 1, (size - 1) * _LANES
    near, line = np.empty(all_pixels, np.float32), np.empty(broad * _LANES, np.float32)
    down, found = np.empty(tall * w * _LANES, np.float32), np.empty(all_pixels, np.float32)
    across = np.zeros(broad * _LANES, np.float32)
    bits = np.empty(high * wide, np.int32)
    totals = np.zeros((len(x), c * all_pixels), np.float32)
    for first in range(0, len(images), _LANES):
        turned = _turned(images, first)
        for q in range(len(x)):
            _logits(x[q], turned, c, h, w, size, scale, near, line, down, found)
            log_weight = log_weights[q]
            for i in range(high * wide):
                y = found[i] - log_weight[i]
                found[i] = y if y < np.float32(0.0) else np.float32(0.0)
            _exp(found[: high * wide], bits)
            down[:] = 0.0
            for row in range(high):
                across[:] = 0.0
                across[edge : edge + wide] = found[row * wide : (row + 1) * wide]
                _box(across, broad, _LANES, size, line)
                down[(size - 1 + row) * w * _LANES : (size + row) * w * _LANES] = line[: w * _LANES]
            _box(down, tall, w * _LANES, size, found)
            for channel in range(c):
                pixels = turned[channel * all_pixels : (channel + 1) * all_pixels]
                total = totals[q, channel * all_pixels : (channel + 1) * all_pixels]
                for i in range(all_pixels):
                    total[i] += found[i] * pixels[i]
    return totals


def memory(noisy: int, d: int, hw: int) -> int:
    """Bytes of a call's arrays in every thread, and of those that all share."""
    each = 4 * _LANES * (d + 12 * hw + noisy * (d + 2 * hw)) + 3 * _PART * d
    return torch.get_num_threads() * each + 4 * _LANES * noisy * (d + 6 * hw)


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
    greys = ((x.double() + 1.0) * 127.5).float().repeat_interleave(_LANES, dim=1).numpy()
    scale = np.float32(-0.5 / (127.5 * sigma) ** 2)
    shape = (len(x), (h - size + 1) * (w - size + 1), _LANES)

    def normaliser(bank: Bank, x: Float[Tensor, "b d"]) -> PosteriorMean:
        peak, weight = np.full(shape[:2], -1e30), np.zeros(shape[:2])
        for tops, sums in _each(bank, lambda part: normalisers(part, greys, c, h, w, size, scale), 0.0):
            top = tops.reshape(shape).astype(np.float64)
            highest = np.maximum(peak, top.max(axis=2))
            new = (sums.reshape(shape) * np.exp(top - highest[..., None])).sum(axis=2)
            peak, weight = highest, weight * np.exp(peak - highest) + new
        known = torch.from_numpy(weight)
        return PosteriorMean(torch.from_numpy(peak), known, known)

    found = merged(bank, x, normaliser).log_weight().numpy()
    log_weight = np.repeat(found.astype(np.float32), _LANES, axis=1)

    def weighed(bank: Bank, x: Float[Tensor, "b d"]) -> Float64[np.ndarray, "b d"]:
        total = np.zeros(x.shape)
        for sums in _each(bank, lambda part: averages(part, greys, c, h, w, size, scale, log_weight), 0.5):
            total += sums.reshape(*x.shape, _LANES).sum(axis=2, dtype=np.float64)
        return total

    total = np.sum(over_parts(bank, x, weighed), axis=0)
    rows, cols = (np.convolve(np.ones(n - size + 1), np.ones(size)) for n in (h, w))
    cover = np.tile(np.outer(rows, cols).ravel(), c)
    return torch.from_numpy(total / cover / 127.5 - 1.0)


def _each(bank: Bank, work: Callable[[UInt8[np.ndarray, "k d"]], Any], begun: float) -> Iterator[Any]:
    """work(part) for all parts in order; beats through half of the call."""
    starts = range(0, len(bank), _PART)
    pool = ThreadPoolExecutor(torch.get_num_threads(), "averages")
    try:
        parts = pool.map(lambda start: work(bank.stored(start, min(start + _PART, len(bank))).numpy()), starts)
        for done, part in enumerate(parts, start=1):
            yield part
            heartbeat(begun + 0.5 * done / len(starts))
    finally:
        pool.shutdown(cancel_futures=True)
