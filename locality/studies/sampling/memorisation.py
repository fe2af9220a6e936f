"""Does a model copy its training images? The share of its samples that one of them explains, with a control."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from locality.datasets import Source
from locality.device import Compute
from locality.metrics import COPY, is_copy
from locality.store import Store
from locality.studies.sampling.config import Sampling
from locality.studies.sampling.nearest import nearest_training
from locality.studies.sampling.samples import sample
from locality.work import Progress


@dataclass(frozen=True)
class Copies:
    """Of `count` images: the share that are copies, its standard error, and the median distance to the nearest."""

    count: int
    share: float
    stderr: float
    median_distance: float


@dataclass(frozen=True)
class Memorisation:
    """Copies among a model's samples, and among as many held-out images: what chance and duplicates give."""

    samples: Copies
    held_out: Copies

    def to_json(self) -> dict[str, Any]:
        """Plain values; distances are L2 in units of [-1, 1]."""
        return {"threshold": COPY, "samples": vars(self.samples).copy(), "held_out": vars(self.held_out).copy()}


def memorisation(
    source: Source, text: str, sampling: Sampling, *, store: Store | None = None, compute: Compute | None = None
) -> Generator[Progress, None, Memorisation]:
    """Draw images with a model (or read them from the store) and look for each among the training images.

    A copy is an image with d1 / d2 < 1/3: L2 distance to the nearest over that to the second nearest training image
    (Yoon et al. 2023). The training images are those of `source`: give `first` where the network saw only some.

    Raises:
        DataUnavailable: the images are not on this machine.
        UnknownName, BadInput, NonFinite, TooLarge: see `sample` and `nearest_training`.
    """
    control = source.held_out.x0(slice(0, sampling.count))
    drawn = yield from sample(source, text, sampling, store=store, compute=compute)
    images = torch.cat([drawn.image, control])
    _, nearest, second = yield from nearest_training(source, images, compute=compute)
    count = sampling.count
    return Memorisation(copies(nearest[:count], second[:count]), copies(nearest[count:], second[count:]))


def copies(nearest: Float[Tensor, " n"], second: Float[Tensor, " n"]) -> Copies:
    """Share of images with d1 < d2 / 3; an image that is two training images at once (d2 = 0) is no copy of one."""
    n, share = len(nearest), float(is_copy(nearest, second).double().mean())
    return Copies(n, share, math.sqrt(share * (1.0 - share) / n), float(nearest.median()))
