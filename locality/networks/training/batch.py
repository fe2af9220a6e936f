"""The batches of a training: noisy images with what the loss wants of them, all from one generator on the CPU."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from locality.dataset import Dataset
from locality.networks.training.ambient import Pair, ambient_pair, fixed_noise, plain_pair
from locality.networks.training.plan import TrainSpec

_LN_LOW, _LN_HIGH = math.log(0.005), math.log(80.0)


def draw_batch(dataset: Dataset, train: TrainSpec, generator: torch.Generator) -> tuple[Pair, Float[Tensor, " b"]]:
    """A pair of noisy images and goals, and their noise levels."""
    t, g = train, generator
    rows = torch.randint(len(dataset), (t.batch,), generator=g)
    x0 = dataset.x0(rows)
    mirror = torch.rand(t.batch, generator=g) < 0.5
    z = fixed_noise(rows, x0.shape[1], t.seed) if t.ambient else None
    if t.flips:
        x0 = _mirrored(dataset, x0, mirror)
        z = None if z is None else _mirrored(dataset, z, mirror)  # an image's fixed noise is part of it
    normal = t.ln_mean + t.ln_std * torch.randn(t.batch, generator=g)
    even = _LN_LOW + (_LN_HIGH - _LN_LOW) * torch.rand(t.batch, generator=g)
    ln_sigma = torch.where(torch.rand(t.batch, generator=g) < t.uniform, even, normal)
    eps = torch.randn(x0.shape, generator=g)
    sigma = ln_sigma.exp()
    return plain_pair(x0, sigma, eps) if z is None else ambient_pair(x0, z, sigma, eps, t.ambient), sigma


def _mirrored(dataset: Dataset, images: Float[Tensor, "b d"], which: Bool[Tensor, " b"]) -> Float[Tensor, "b d"]:
    flipped = images.reshape(-1, *dataset.shape).flip(-1).reshape(images.shape)
    return torch.where(which[:, None], flipped, images)
