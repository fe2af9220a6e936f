"""Posterior means through whole 8-bit images in one pass: distances, softmax and average while they are in cache.

Squared differences are added as they are, (x - x_i)^2 and not x x_i - x_i^2 / 2, so that no digits cancel.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import no_type_check

import numpy as np
import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor

from locality.denoisers.parts.bank import Bank
from locality.posterior import PosteriorMean
from locality.vectors import kept
from locality.work import heartbeat

_PART = 2048  # images that are one piece of work
_QUERIES = 64  # noisy images that share a pass
_LEAST = 1e-14  # weights below this part of the largest are nothing


@kept(fastmath={"reassoc", "contract"})
@no_type_check
def _squares(images, x, found):
    """found[i, q] = sum_p (x_qp - u_ip)^2, two images and four noisy ones at a time."""
    k, d = images.shape
    four = len(x) // 4 * 4
    for i in range(0, k, 2):
        j = min(i + 1, k - 1)
        for q in range(0, four, 4):
            a = b = c = e = f = g = h = m = np.float32(0.0)
            for p in range(d):
                u, v = np.float32(images[i, p]), np.float32(images[j, p])
                a += (x[q, p] - u) * (x[q, p] - u)
                b += (x[q + 1, p] - u) * (x[q + 1, p] - u)
                c += (x[q + 2, p] - u) * (x[q + 2, p] - u)
                e += (x[q + 3, p] - u) * (x[q + 3, p] - u)
                f += (x[q, p] - v) * (x[q, p] - v)
                g += (x[q + 1, p] - v) * (x[q + 1, p] - v)
                h += (x[q + 2, p] - v) * (x[q + 2, p] - v)
                m += (x[q + 3, p] - v) * (x[q + 3, p] - v)
            found[i, q], found[i, q + 1], found[i, q + 2], found[i, q + 3] = a, b, c, e
            found[j, q], found[j, q + 1], found[j, q + 2], found[j, q + 3] = f, g, h, m
        for q in range(four, len(x)):
            a = f = np.float32(0.0)
            for p in range(d):
                u, v = x[q, p] - np.float32(images[i, p]), x[q, p] - np.float32(images[j, p])
                a += u * u
                f += v * v
            found[i, q], found[j, q] = a, f


@kept(fastmath={"contract"})
@no_type_check
def _averages(images, weights, least, total):
    """total[q] += sum_i weights[i, q] (u_i - 128), four images, two q at a time; weights below `least` are left out."""
    k, d = images.shape
    four, nobody = np.zeros((4, d), np.float32), np.zeros(d, np.float32)
    w = np.empty((4, 2), np.float32)
    for i in range(0, k, 4):
        here = min(4, k - i)
        seen = False
        for q in range(0, len(total), 2):
            both = q + 1 < len(total)
            w[:] = 0.0
            some = False
            for j in range(here):
                for r in range(1 + both):
                    if weights[i + j, q + r] > least:
                        w[j, r] = weights[i + j, q + r]
                        some = True
            if not some:
                continue
            if not seen:
                seen = True
                for j in range(here):
                    for p in range(d):
                        four[j, p] = np.float32(images[i + j, p]) - np.float32(128.0)
            a0, a1, a2, a3 = w[0, 0], w[1, 0], w[2, 0], w[3, 0]
            b0, b1, b2, b3 = w[0, 1], w[1, 1], w[2, 1], w[3, 1]
            one, other = total[q], (total[q + 1] if both else nobody)
            for p in range(d):
                one[p] += a0 * four[0, p] + a1 * four[1, p] + a2 * four[2, p] + a3 * four[3, p]
                other[p] += b0 * four[0, p] + b1 * four[1, p] + b2 * four[2, p] + b3 * four[3, p]


def whole_posterior(bank: Bank, x: Float[Tensor, "b d"], noise: float) -> PosteriorMean:
    """sum_i softmax_i(-|x - x_i|^2 / (2 noise^2)) x_i over 8-bit images on a CPU; no gradient, threads change nothing.

    One weight a noisy image, [b 1]; float64. Memory: that of the bank, if `usable_threads` finds one.
    """
    blocks = x.detach().split(_QUERIES)
    return PosteriorMean.joined(
        [_block(bank, block, noise, number, len(blocks)) for number, block in enumerate(blocks)]
    )


def usable_threads(noisy: int, d: int, memory: int) -> int:
    """Threads whose arrays fit so many bytes: their sums, and the images of a part where they are mirrored.

    Whether there is one, on which what is left out of the weights depends, is the same on every machine.
    """
    b = min(noisy, _QUERIES)
    fitting = (memory - 40 * b * d) // (_PART * (3 * d + 24 * b) + 12 * b * d)
    return max(0, min(fitting, torch.get_num_threads()))


def _block(bank: Bank, x: Float[Tensor, "b d"], noise: float, number: int, blocks: int) -> PosteriorMean:
    greys = np.ascontiguousarray(((x.double() + 1.0) * 127.5).numpy(), np.float32)

    def one(start: int) -> tuple[Float64[np.ndarray, " b"], Float64[np.ndarray, " b"], Float64[np.ndarray, "b d"]]:
        return _part(bank.stored(start, min(start + _PART, len(bank))).numpy(), greys, noise)

    starts = range(0, len(bank), _PART)
    pool = ThreadPoolExecutor(usable_threads(len(x), bank.shape.d, bank.memory), "averages")
    try:
        peak, weight, total = np.full(len(x), -np.inf), np.zeros(len(x)), np.zeros(x.shape)
        for done, (top, new, added) in enumerate(pool.map(one, starts), start=1):
            highest = np.maximum(peak, top)
            old, fresh = np.exp(peak - highest), np.exp(top - highest)
            peak, weight = highest, weight * old + new * fresh
            total = total * old[:, None] + added * fresh[:, None]
            heartbeat((number + done / len(starts)) / blocks)
    finally:
        pool.shutdown(cancel_futures=True)
    mean, log_weight = (total / weight[:, None] + 0.5) / 127.5, (peak + np.log(weight))[:, None]
    return PosteriorMean.known(torch.from_numpy(mean), torch.from_numpy(log_weight))


def _part(
    images: UInt8[np.ndarray, "k d"], greys: Float[np.ndarray, "b d"], noise: float
) -> tuple[Float64[np.ndarray, " b"], Float64[np.ndarray, " b"], Float64[np.ndarray, "b d"]]:
    """Largest logits, weights and weighted pixels (less 128) of some images."""
    squares = np.empty((len(images), len(greys)), np.float32)
    _squares(images, greys, squares)
    logits = squares.astype(np.float64) * (-0.5 / (127.5 * noise) ** 2)
    peak = logits.max(axis=0)
    weights = np.exp(logits - peak).astype(np.float32)
    total = np.zeros(greys.shape, np.float32)
    _averages(images, weights, np.float32(_LEAST), total)
    return peak, weights.sum(axis=0, dtype=np.float64), total.astype(np.float64)
