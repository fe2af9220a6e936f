"""Edits that plant a pattern: every image gets it with a random strength of its own.

With a = cov(x0, z) and s^2 = var z over the training images, exactly

    mean' = mean + c mean(z) w,   S' = S + c (a w^T + w a^T) + c^2 s^2 w w^T

which is S + c^2 w w^T in expectation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float64
from torch import Tensor

from locality.dataset import Dataset
from locality.edits.parts.masked import MaskedSpec
from locality.edits.parts.spec import Stage, generator, transformed
from locality.linear.statistics import Statistics
from locality.specs import param
from locality.store import Artifact, Shipment
from locality.types import ImageShape

COUPLING, VERSION = "edit_coupling", 1

# Weight of each channel of a colour image. Grey images take the pattern as it is.
COLOURS: dict[str, tuple[float, float, float]] = {
    "white": (1.0, 1.0, 1.0),
    "red": (1.0, 0.0, 0.0),
    "green": (0.0, 1.0, 0.0),
    "blue": (0.0, 0.0, 1.0),
    "red-green": (1.0, -1.0, 0.0),
    "blue-yellow": (-0.5, -0.5, 1.0),
}


@dataclass(frozen=True)
class PlantedSpec(MaskedSpec):
    """Base of the edits x0' = x0 + c z w: the pattern w with a random strength z per image, c its dial."""

    symbol: ClassVar[str] = "c"

    strength: float = param(
        0.5,
        help="Strength c of the pattern; its sign changes nothing in expectation.",
        low=-100.0,
        high=100.0,
        unit="units of x0",
    )
    colour: str = param("white", help="Channels of the pattern in colour images.", choices=tuple(COLOURS))
    seed: int = param(0, help="Seed of the strengths z.", low=0, high=2**31 - 1)

    def images(self, data: Dataset, stage: Stage) -> Dataset:
        z, planted = self.draws(len(data), data.split), self.strength * self.weights(data.shape)
        return transformed(data, lambda x0, rows: (x0.double() + z[rows, None] * planted).float())

    def statistics(self, before: Statistics, stage: Stage) -> Statistics | None:
        w, c = self.weights(stage.images.shape), self.strength
        a, variance, mean = self.coupling(stage)
        u = c * a + 0.5 * c**2 * variance * w  # S' = S + u w^T + w u^T
        half = torch.outer(u, w)
        return Statistics(before.count, before.mean + c * mean * w, before.cov + (half + half.T))

    def weights(self, shape: ImageShape) -> Float64[Tensor, " d"]:
        """The pattern w, flat: the mask with the colour's weights. Raises BadInput."""
        channels = torch.tensor(COLOURS[self.colour] if shape.c == 3 else (1.0,) * shape.c, dtype=torch.float64)
        return (channels[:, None, None] * self.pattern(shape)).flatten()

    def draws(self, count: int, split: str) -> Float64[Tensor, " n"]:
        """The strengths z of the first images of a split; image i has the same whatever follows it."""
        return torch.from_numpy(generator(self, self.seed, split).standard_normal(count))

    def coupling(self, stage: Stage) -> tuple[Float64[Tensor, " d"], float, float]:
        """cov(x0, z) [d], var z and mean z over the training images: they depend on neither pattern nor strength.

        Kept in the store: one pass over the images the first time.

        Raises:
            DataUnavailable: not in the store, and the images are not on this machine.
        """
        found = self.shipment(stage).artifact
        return found.arrays["cov"], float(found.meta["variance"]), float(found.meta["mean"])

    def shipment(self, stage: Stage) -> Shipment:
        key = {"fingerprint": stage.images.fingerprint, "seed": self.seed, "version": VERSION}
        return Shipment(COUPLING, key, stage.store.cached(COUPLING, key, lambda: self._couple(stage)))

    def _couple(self, stage: Stage) -> Artifact:
        train = stage.images.train
        z = self.draws(len(train), "train")
        centred = z - z.mean()
        total = torch.zeros(train.shape.d, dtype=torch.float64)
        for start in range(0, len(train), 4096):
            rows = slice(start, start + 4096)
            total += centred[rows] @ train.x0(rows).double()
        cov = total / (len(train) - 1)
        return Artifact({"cov": cov}, {"variance": float(z.var()), "mean": float(z.mean())})
