"""Squared distances of one noisy image to all 8-bit images over some coordinates: what a clicked pixel asks for."""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import no_type_check

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from locality.denoisers._walk_kernels import kept

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
    with ThreadPoolExecutor(torch.get_num_threads(), "distances") as pool:
        parts = pool.map(lambda start: work(stored[start : start + _ROWS], *args), range(0, len(stored), _ROWS))
        return torch.from_numpy(np.concatenate(list(parts))) / 127.5**2
