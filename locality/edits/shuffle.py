"""Shuffle: the same random places for the pixels of every image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from locality.dataset import Dataset
from locality.edits.parts.spec import EDITS, EditSpec, Stage, generator, transformed
from locality.linear.statistics import Statistics
from locality.specs import param
from locality.types import ImageShape


@EDITS.register("shuffle")
@dataclass(frozen=True)
class Shuffle(EditSpec):
    """One permutation of the pixels, all channels together: locality is lost in space and kept in the old order."""

    heading: ClassVar[str] = "Shuffle"
    about: ClassVar[str] = r"x_0' = \Pi x_0,\quad \Pi \text{ one permutation of pixels}:\quad S' = \Pi S \Pi^{\!\top}"
    main: ClassVar[str] = "share"
    symbol: ClassVar[str] = "t"
    place: ClassVar[int] = 4
    examples: ClassVar[tuple[str, ...]] = ("shuffle", "shuffle:share=0.4,seed=2")
    dial: ClassVar[str] = "share"

    share: float = param(1.0, help="Share of the pixels that are shuffled among themselves.", low=0.0, high=1.0)
    seed: int = param(0, help="Seed of the permutation.", low=0, high=2**31 - 1)

    def images(self, data: Dataset, stage: Stage) -> Dataset:
        order = self.coordinates(data.shape)
        return transformed(data, lambda stored, rows: stored[:, order], raw=True)

    def statistics(self, before: Statistics, stage: Stage) -> Statistics | None:
        order = self.coordinates(stage.images.shape)
        return replace(before, mean=before.mean[order], cov=before.cov[order][:, order])

    def order(self, shape: ImageShape) -> Int[Tensor, " hw"]:
        """Where pixel p of an edited image was before: x0'[p] = x0[order[p]]."""
        draws, size = generator(self, self.seed, "train"), shape.h * shape.w
        places = draws.permutation(size)[: round(self.share * size)]  # the same pixels first, whatever the share
        order = np.arange(size)
        order[np.sort(places)] = draws.permutation(places)
        return torch.from_numpy(order)

    def coordinates(self, shape: ImageShape) -> Int[Tensor, " d"]:
        """The same for every coordinate of a flat image."""
        size = shape.h * shape.w
        return (torch.arange(shape.c)[:, None] * size + self.order(shape)).flatten()
