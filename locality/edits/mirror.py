"""Mirror: every image and its mirror image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Int, Shaped
from torch import Tensor

from locality.dataset import Dataset
from locality.edits.parts.spec import EDITS, EditSpec, Stage
from locality.linear.statistics import Statistics
from locality.pictures.room import filled
from locality.specs import param
from locality.types import ImageShape


@EDITS.register("mirror")
@dataclass(frozen=True)
class Mirror(EditSpec):
    """The set and its mirror image, twice as many: a pixel and its reflection have the same statistics."""

    heading: ClassVar[str] = "Mirror"
    about: ClassVar[str] = r"\{x_0\} \cup \{F x_0\},\quad F \text{ a reflection}:\quad S' \approx \tfrac12\,(S + F S F)"
    main: ClassVar[str] = "axis"
    place: ClassVar[int] = 6
    examples: ClassVar[tuple[str, ...]] = ("mirror", "mirror:axis=up-down")
    named: ClassVar[tuple[str, ...]] = ("axis",)

    axis: str = param("left-right", help="Direction of the reflection.", choices=("left-right", "up-down"))

    @property
    def exempt(self) -> Mapping[str, str]:
        return {"images_do_not_depend_on_those_behind": "the mirror images come behind them"}

    def conflicts(self, earlier: EditSpec) -> str:
        return "the set is its own mirror image already. Leave one out." if earlier == self else ""

    def images(self, data: Dataset, stage: Stage) -> Dataset:
        n, order = len(data), self.order(data.shape)

        def part(rows: slice) -> Shaped[Tensor, "k d"]:
            own, images = data.data[rows], data.data[max(rows.start - n, 0) : max(rows.stop - n, 0)]
            return torch.cat([own, images[:, order]])

        both = filled(2 * n, data.shape.d, data.data.dtype, part, in_file=data.mapped)
        labels = None if data.labels is None else torch.cat([data.labels, data.labels])
        return replace(data, data=both, labels=labels)

    def statistics(self, before: Statistics, stage: Stage) -> Statistics | None:
        order, n = self.order(stage.images.shape), before.count
        mean = 0.5 * (before.mean + before.mean[order])
        apart = 0.5 * (before.mean - before.mean[order])  # both halves are as far from the common mean
        centred = (n - 1) * (before.cov + before.cov[order][:, order]) + 2 * n * torch.outer(apart, apart)
        return Statistics(2 * n, mean, centred / (2 * n - 1))

    def order(self, shape: ImageShape) -> Int[Tensor, " d"]:
        """Which coordinate comes to the place of each."""
        places = torch.arange(shape.d).reshape(shape)
        return places.flip(2 if self.axis == "left-right" else 1).flatten()
