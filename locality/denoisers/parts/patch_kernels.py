"""Sums over all windows of sixteen images side by side, and softmax weights from them, compiled.

Windows are sums of sums over 1, 2, 4, ... places, so that nothing running is rounded.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
from __future__ import annotations

from typing import no_type_check

import numpy as np

from locality.vectors import kept

LANES = 16
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
    n, row, wide = h * w * LANES, w * LANES, (w - size + 1) * LANES
    near[:n] = 0.0
    for channel in range(c):
        mine, theirs = x[channel * n : (channel + 1) * n], turned[channel * n : (channel + 1) * n]
        for i in range(n):
            apart = mine[i] - theirs[i]
            near[i] += apart * apart
    for k in range(h):
        _box(near[k * row : (k + 1) * row], w, LANES, size, line)
        to = down[k * wide : (k + 1) * wide]
        for i in range(wide):
            to[i] = line[i] * scale
    _box(down, h, wide, size, found)


@kept()
@no_type_check
def _turned(images, first):
    d = images.shape[1]
    found = np.full((d, LANES), np.float32(_FAR), np.float32)
    for k in range(min(LANES, len(images) - first)):
        for p in range(d):
            found[p, k] = np.float32(images[first + k, p])
    return found.reshape(-1)


@kept(fastmath={"contract"})
@no_type_check
def normalisers(images, x, c, h, w, size, scale):
    """Largest logits and sums of e^(logit - largest) of every window, over the images of each lane: [b h' w' lanes]."""
    n = (h - size + 1) * (w - size + 1) * LANES
    near, line = np.empty(h * w * LANES, np.float32), np.empty(w * LANES, np.float32)
    down, found = np.empty(h * w * LANES, np.float32), np.empty(h * w * LANES, np.float32)
    old = np.empty(n, np.float32)
    bits = np.empty(n, np.int32)
    peaks, weights = np.full((len(x), n), np.float32(-1e30)), np.zeros((len(x), n), np.float32)
    for first in range(0, len(images), LANES):
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
    high, wide, all_pixels = h - size + 1, (w - size + 1) * LANES, h * w * LANES
    tall, broad, edge = h + size - 1, w + size - 1, (size - 1) * LANES
    near, line = np.empty(all_pixels, np.float32), np.empty(broad * LANES, np.float32)
    down, found = np.empty(tall * w * LANES, np.float32), np.empty(all_pixels, np.float32)
    across = np.zeros(broad * LANES, np.float32)
    bits = np.empty(high * wide, np.int32)
    totals = np.zeros((len(x), c * all_pixels), np.float32)
    for first in range(0, len(images), LANES):
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
                _box(across, broad, LANES, size, line)
                down[(size - 1 + row) * w * LANES : (size + row) * w * LANES] = line[: w * LANES]
            _box(down, tall, w * LANES, size, found)
            for channel in range(c):
                pixels = turned[channel * all_pixels : (channel + 1) * all_pixels]
                total = totals[q, channel * all_pixels : (channel + 1) * all_pixels]
                for i in range(all_pixels):
                    total[i] += found[i] * pixels[i]
    return totals
