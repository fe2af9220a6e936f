"""How much of each local model, and of the Wiener filter, at every noise level: from training images set aside."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from locality.denoisers.parts.blend import Unseeing, level_rows
from locality.fields.codec import TABLE_SIGMAS
from locality.linear.wiener import WienerFilter
from locality.noise import field_noise
from locality.types import Denoiser
from locality.work import Progress

_MOST = 3  # models at a noise level
_ENOUGH = 0.998  # a smaller set of models is preferred while it keeps so much of what the best one gains


def estimate_mix(
    models: Sequence[Denoiser], wiener: WienerFilter, x0: Float[Tensor, "n d"], seed: int
) -> Generator[Progress, None, Float[Tensor, "s f"]]:
    """a at each of TABLE_SIGMAS in D = D_wiener + sum_f a_f (D_f - D_wiener), from images no model was fitted to.

    `wiener` may have seen them: what they added to it is taken away first.
    """
    eps, unseeing = field_noise(len(x0), x0.shape[1], seed), Unseeing.of(wiener, x0)
    weights = torch.zeros(len(TABLE_SIGMAS), len(models), dtype=torch.float64)
    for i, sigma in enumerate(TABLE_SIGMAS):
        yield Progress(i, len(TABLE_SIGMAS), f"Weights of the scales, noise level {i + 1} of {len(TABLE_SIGMAS)}")
        rows = level_rows(len(x0), i)
        x = x0[rows] + sigma * eps[rows]
        linear = unseeing(x, sigma)
        changes = torch.stack([model(x, sigma).double() - linear for model in models])
        weights[i] = mix(changes, x0[rows] - linear)
    return weights


def mix(changes: Float[Tensor, "f b d"], wanted: Float[Tensor, "b d"]) -> Float[Tensor, " f"]:
    """Weights >= 0 that make sum_f a_f changes_f most like what is wanted; float64.

    Least squares over every set of up to three models, judged by the error on images left out one at a time: a set is
    taken only where that is less than without any, so that what is made is not worse than nothing at all. Of sets that
    keep 99.8 % of what the best one gains, the smallest.
    """
    normals = torch.einsum("fbd,gbd->bfg", changes, changes)
    right = torch.einsum("fbd,bd->bf", changes, wanted.double())
    size = float(wanted.double().square().sum())
    found: list[tuple[float, int, Float[Tensor, " f"]]] = [(size, 0, torch.zeros(len(changes), dtype=torch.float64))]
    for count in range(1, min(_MOST, len(changes)) + 1):
        for chosen in itertools.combinations(range(len(changes)), count):
            some = list(chosen)
            error, best = _left_out(normals[:, some][:, :, some], right[:, some])
            if bool((best > 0).all()):
                weights = torch.zeros(len(changes), dtype=torch.float64)
                weights[some] = best
                found.append((size + error, count, weights))
    least = min(error for error, _, _ in found)
    enough = size - _ENOUGH * (size - least)
    return min((entry for entry in found if entry[0] <= enough), key=lambda entry: entry[1:2] + entry[:1])[2]


def _left_out(normals: Float[Tensor, "b f f"], right: Float[Tensor, "b f"]) -> tuple[float, Float[Tensor, " f"]]:
    """Change of the squared error by weights from all other images, summed over images; weights from all of them."""
    every, sums = normals.sum(dim=0), right.sum(dim=0)
    jitter = 1e-9 * every.diagonal().mean() * torch.eye(len(every), dtype=torch.float64) + 1e-300
    others = torch.linalg.lstsq(every - normals + jitter, (sums - right)[:, :, None]).solution.squeeze(2)
    error = torch.einsum("bf,bfg,bg->", others, normals, others) - 2.0 * (others * right).sum()
    return float(error), torch.linalg.lstsq(every + jitter, sums[:, None]).solution.squeeze(1)
