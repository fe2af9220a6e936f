"""Ambient training: above a chosen noise level the network never meets a clean image, only one noisy copy of each.

Every training image gets noise of level sigma_n once and for good, x_n = x0 + sigma_n z. A batch then holds

    sigma <  sigma_n:  x = x0 + sigma eps,                       goal x0   (the ordinary loss, clean images)
    sigma >= sigma_n:  x = x_n + sqrt(sigma^2 - sigma_n^2) eps,  goal x_n  (the ambient loss)

and the ambient loss asks (1 - r) D(x; sigma) + r x to be x_n, with r = (sigma_n / sigma)^2. Since

    E[x_n given x] = (1 - r) E[x0 given x] + r x,

the D that is best for infinitely many images is the posterior mean of the clean image, as without the option; for few
images it is that of their noisy copies, so what distinguishes one clean image from another below sigma_n is never
seen at high noise, where the layout of a sample is decided. The weight of every sigma is the ordinary one (EDM's).
Just above sigma_n a network that has learned its noisy copies by heart answers (x_n - r x) / (1 - r), which magnifies
their noise: expect a bump of its held-out error there when images are few.

Sources: Shah, Kalavasis, Klivans, Daras 2025 (arXiv 2502.21278), the algorithm and its weights; Daras, Dimakis,
Daskalakis 2024 (arXiv 2404.10177), the identity.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from locality.noise import ASIDE, unit_noise


class Pair(NamedTuple):
    """Noisy images and what the loss wants: keep D(x; sigma) to be `goal`."""

    x: Float[Tensor, "b d"]
    goal: Float[Tensor, "b d"]
    keep: Float[Tensor, " b"]


def fixed_noise(rows: Int[Tensor, " b"], d: int, seed: int) -> Float[Tensor, "b d"]:
    """The unit noise z of training images, never that of samples: made when asked for, so nothing has to be kept."""
    return unit_noise(rows.tolist(), d, seed, step=ASIDE)


def plain_pair(x0: Float[Tensor, "b d"], sigma: Float[Tensor, " b"], eps: Float[Tensor, "b d"]) -> Pair:
    """The ordinary pair: x = x0 + sigma eps, and D(x; sigma) is to be x0."""
    return Pair(x0 + sigma[:, None] * eps, x0, torch.ones_like(sigma))


def ambient_pair(
    x0: Float[Tensor, "b d"],
    z: Float[Tensor, "b d"],
    sigma: Float[Tensor, " b"],
    eps: Float[Tensor, "b d"],
    level: float,
) -> Pair:
    """The pair of this module's text, `level` being sigma_n; at sigma = sigma_n exactly it asks for nothing."""
    high = (sigma >= level)[:, None]
    keep = torch.where(high[:, 0], 1.0 - (level / sigma).square(), 1.0)
    noised = x0 + level * z
    more = (sigma.square() - level**2).clamp(min=0.0).sqrt()[:, None]
    x = torch.where(high, noised + more * eps, x0 + sigma[:, None] * eps)
    return Pair(x, torch.where(high, noised - (1.0 - keep[:, None]) * x, x0), keep)
