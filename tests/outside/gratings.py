"""A dataset that lies outside the package: waves across 8x8 pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from locality.dataset import Dataset
from locality.datasets import DATASETS, DatasetInfo, DatasetSpec, Split
from locality.specs import param
from locality.types import ImageShape

SIDE = 8


@DATASETS.register("gratings")
@dataclass(frozen=True)
class Gratings(DatasetSpec):
    """Sine waves of random direction and phase, drawn on the spot."""

    info: ClassVar[DatasetInfo] = DatasetInfo(
        title="Gratings", source="drawn here", licence="CC0", about="Waves of one length and any direction."
    )
    examples: ClassVar[tuple[str, ...]] = ("gratings", "gratings:period=5")

    period: float = param(4.0, help="Length of a wave.", low=2.0, high=16.0, unit="pixels")

    @property
    def shape(self) -> ImageShape:
        return ImageShape(1, SIDE, SIDE)

    def count(self, split: Split = "train") -> int:
        return {"train": 300, "test": 60}[split]

    def load(self, split: Split = "train") -> Dataset:
        draws = np.random.Generator(np.random.PCG64(len(split)))
        angle, phase = (2 * np.pi * draws.random((self.count(split), 1, 1)) for _ in range(2))
        row, col = np.mgrid[:SIDE, :SIDE]
        wave = np.sin(2 * np.pi / self.period * (np.cos(angle) * row + np.sin(angle) * col) + phase)
        pixels = torch.from_numpy(np.rint(127.5 + 127.5 * wave).astype(np.uint8)).flatten(1)
        return Dataset(self.name, split, self.shape, pixels)
