"""Mix: some of the images come from another dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Shaped
from torch import Tensor

from locality.dataset import Dataset
from locality.edits.parts.linear import run
from locality.edits.parts.spec import EDITS, Closed, EditSpec, Stage, generator
from locality.errors import BadInput
from locality.linear.statistics import Derived, Statistics, statistics_of
from locality.pictures.room import filled
from locality.specs import param


@EDITS.register("mix")
@dataclass(frozen=True)
class Mix(EditSpec):
    """Random images are replaced by random images of another set: one covariance for both."""

    heading: ClassVar[str] = "Mix"
    about: ClassVar[str] = (
        r"S' = (1-t)\,S_1 + t\,S_2 + t(1-t)\,(\mu_1-\mu_2)(\mu_1-\mu_2)^{\!\top},\quad t \text{ the share of set 2}"
    )
    main: ClassVar[str] = "dataset"
    symbol: ClassVar[str] = "t"
    place: ClassVar[int] = 9
    examples: ClassVar[tuple[str, ...]] = ("mix:dataset=mnist,share=0.25",)
    dial: ClassVar[str] = "share"
    closed: ClassVar[Closed] = "expected"
    named: ClassVar[tuple[str, ...]] = ("dataset", "share")

    dataset: str = param("mnist", help="Name of the other dataset; its images need the same shape.")
    share: float = param(0.5, help="Share t of its images.", low=0.0, high=1.0)
    seed: int = param(0, help="Seed of which images are replaced by which.", low=0, high=2**31 - 1)

    @property
    def exempt(self) -> Mapping[str, str]:
        return {"images_do_not_depend_on_those_behind": "which are replaced is a draw among all images"}

    @property
    def other(self) -> str:
        return self.dataset

    def images(self, data: Dataset, stage: Stage) -> Dataset:
        other = self._partner(stage)
        second = other.train if data.split == "train" else other.held_out
        count, draws = round(self.share * len(data)), generator(self, self.seed, data.split)
        places = torch.from_numpy(draws.permutation(len(data))[:count])
        if count > len(second):
            raise BadInput(
                f"mix:share={self.share:g} needs {count} {data.split} images of {second.name}; it has {len(second)}. "
                f"Give a share of at most {len(second) / len(data):.2g}."
            )
        taken = torch.from_numpy(draws.permutation(len(second))[:count])
        bytes_alone = data.is_8bit and second.is_8bit
        source = torch.full((len(data),), -1).index_copy(0, places, taken)  # of which image each row is, -1: its own

        def part(rows: slice) -> Shaped[Tensor, "k d"]:
            mixed = data.data[rows].clone() if bytes_alone else data.x0(rows)
            replaced = (source[rows] >= 0).nonzero().flatten()
            others = source[rows][replaced]
            mixed[replaced] = second.data[others] if bytes_alone else second.x0(others)
            return mixed

        dtype = torch.uint8 if bytes_alone else torch.float32
        in_file = data.mapped or second.mapped
        both = filled(len(data), data.shape.d, dtype, part, in_file=in_file)
        return replace(data, data=both, labels=None, mapped=in_file)

    def statistics(self, before: Statistics, stage: Stage) -> Statistics | None:
        after = run(statistics_of(self._partner(stage), stage.compute, stage.store))
        t = round(self.share * before.count) / before.count
        apart = before.mean - after.mean
        cov = torch.lerp(before.cov, after.cov, t).add_(torch.outer(apart, apart), alpha=t * (1 - t))
        return Statistics(before.count, torch.lerp(before.mean, after.mean, t), cov)

    def _partner(self, stage: Stage) -> Derived:
        other = stage.other
        assert other is not None  # named by `other`
        if other.shape != stage.images.shape:
            raise BadInput(
                f"mix: images of {other.name} are {other.shape}, those of {stage.images.name} {stage.images.shape}. "
                "Choose a dataset of the same shape."
            )
        return other
