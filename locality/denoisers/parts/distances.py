"""Squared distances to all 8-bit images: over some coordinates, as a clicked pixel asks for, or at half size."""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import no_type_check

import numpy as np
import torch
from jaxtyping import Float, Float64, Int, UInt8
from torch import Tensor

from locality.types import ImageShape
from locality.vectors import kept

_ROWS = 1024  # images that are one piece of work
_MANY = 6  # coordinates are fetched one by one where they are fewer than one in so many


@kept(fastmath={"reassoc", "contract"})
@no_type_check
def _over_all(images, x, weights):
    found = np.empty(len(images))
    for i in range(len(images)):
        total = 0.0
        for p in range(len(x)):
            apart = x[p] - images[i, p]
            total += weights[p] * apart * apart
        found[i] = total
    return found


@kept(fastmath={"reassoc", "contract"})
@no_type_check
def _over_some(images, x, columns):
    found = np.empty(len(images))
    for i in range(len(images)):
        total = 0.0
        for p in range(len(columns)):
            apart = x[p] - images[i, columns[p]]
            total += apart * apart
        found[i] = total
    return found


@kept(fastmath={"reassoc", "contract"})
@no_type_check
def _at_half_size(images, channels, h, w, x):
    high, wide = (h + 1) // 2, (w + 1) // 2
    found = np.empty((len(x), len(images)))
    line, small = np.zeros(2 * wide), np.empty((channels, high, wide))
    for i in range(len(images)):
        for channel in range(channels):
            for row in range(high):
                start = channel * h * w + 2 * row * w
                tall = min(2, h - 2 * row)
                for col in range(w):
                    line[col] = images[i, start + col]
                if tall == 2:
                    for col in range(w):
                        line[col] += images[i, start + w + col]
                for col in range(w // 2):
                    small[channel, row, col] = (line[2 * col] + line[2 * col + 1]) / (2 * tall)
                if w % 2:
                    small[channel, row, wide - 1] = line[w - 1] / tall
        flat = small.reshape(-1)
        for q in range(len(x)):
            total = 0.0
            for p in range(len(flat)):
                total += (x[q, p] - flat[p]) * (x[q, p] - flat[p])
            found[q, i] = total
    return found


def half_size_distances(
    images: UInt8[Tensor, "n d"], shape: ImageShape, small: Float[Tensor, "b e"]
) -> Float[Tensor, "b n"]:
    """|x - half(x_i)|^2 of every image averaged over 2 x 2 pixels (fewer at the ends), in [-1, 1], float64."""
    greys, stored = ((small.double() + 1.0) * 127.5).numpy(), images.numpy()
    return _in_parts(lambda part: _at_half_size(part, shape.c, shape.h, shape.w, greys), stored)


def squared_distances(
    images: UInt8[Tensor, "n d"], x: Float[Tensor, " p"], columns: Int[Tensor, " p"]
) -> Float[Tensor, " n"]:
    """sum_p (x_p - x_i,columns_p)^2 of every image, in [-1, 1], float64."""
    greys = (x.double() + 1.0).numpy() * 127.5
    stored, where = images.numpy(), columns.numpy()
    if _MANY * len(where) < stored.shape[1]:
        work, args = _over_some, (greys, where)
    else:
        full, weights = np.zeros(stored.shape[1]), np.zeros(stored.shape[1])
        full[where], weights[where] = greys, 1.0
        work, args = _over_all, (full, weights)
    return _in_parts(lambda part: work(part, *args), stored)


def _in_parts(
    work: Callable[[UInt8[np.ndarray, "k d"]], Float64[np.ndarray, "*b k"]], stored: UInt8[np.ndarray, "n d"]
) -> Float[Tensor, "*b n"]:
    with ThreadPoolExecutor(torch.get_num_threads(), "distances") as pool:
        parts = pool.map(lambda start: work(stored[start : start + _ROWS]), range(0, len(stored), _ROWS))
        return torch.from_numpy(np.concatenate(list(parts), axis=-1)) / 127.5**2
