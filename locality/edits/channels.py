"""Channels: make colours independent of each other, or merge them to grey."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Shaped
from torch import Tensor

from locality.dataset import Dataset
from locality.edits.parts.linear import mapped, pixels
from locality.edits.parts.spec import EDITS, Closed, EditSpec, Stage, generator, transformed
from locality.errors import BadInput
from locality.linear.statistics import Statistics
from locality.pictures.room import filled
from locality.specs import param
from locality.types import ImageShape


@EDITS.register("channels")
@dataclass(frozen=True)
class Channels(EditSpec):
    """decorrelate: every channel comes from another image. merge: channels are blended to their mean."""

    heading: ClassVar[str] = "Channels"
    about: ClassVar[str] = (
        r"\text{decorrelate: channels of different images},\; S'_{ab} = 0 \;(a \ne b);\qquad "
        r"\text{merge: } x_a' = (1-t)\,x_a + t\,\tfrac13\textstyle\sum_b x_b"
    )
    main: ClassVar[str] = "how"
    place: ClassVar[int] = 8
    examples: ClassVar[tuple[str, ...]] = ("channels", "channels:how=merge,share=0.5")
    named: ClassVar[tuple[str, ...]] = ("how",)

    how: str = param("decorrelate", help="Operation on the colour channels.", choices=("decorrelate", "merge"))
    share: float = param(1.0, help="merge: weight t of the mean of the channels.", low=0.0, high=1.0)
    seed: int = param(0, help="decorrelate: seed of which images the channels come from.", low=0, high=2**31 - 1)

    @property
    def closed(self) -> Closed:  # type: ignore[override]
        return "exact" if self.how == "merge" else "expected"

    @property
    def exempt(self) -> Mapping[str, str]:
        if self.how == "merge":
            return {}
        return {"images_do_not_depend_on_those_behind": "channels come from any of the images"}

    def check(self, shape: ImageShape) -> None:
        if shape.c < 2:
            raise BadInput(f"The edit channels needs colour images; these are {shape}. Choose a colour dataset.")

    def images(self, data: Dataset, stage: Stage) -> Dataset:
        if self.how == "merge":
            return transformed(data, lambda x0, rows: self._merged(x0, data.shape))
        draws, c = generator(self, self.seed, data.split), data.shape.c
        orders = [torch.arange(len(data)), *(torch.from_numpy(draws.permutation(len(data))) for _ in range(1, c))]
        wide = data.shape.d // c

        def part(rows: slice) -> Shaped[Tensor, "k d"]:
            mixed = [data.data[order[rows], a * wide : (a + 1) * wide] for a, order in enumerate(orders)]
            return torch.cat(mixed, dim=1)

        return replace(data, data=filled(len(data), data.shape.d, data.data.dtype, part, in_file=data.mapped))

    def statistics(self, before: Statistics, stage: Stage) -> Statistics | None:
        shape = stage.images.shape
        if self.how == "merge":
            return mapped(before, lambda x: self._merged(x, shape))
        own = torch.block_diag(*(torch.ones(shape.h * shape.w, shape.h * shape.w),) * shape.c)
        return replace(before, cov=before.cov * own)

    def _merged(self, x: torch.Tensor, shape: ImageShape) -> torch.Tensor:
        images = pixels(x, shape)
        return images.lerp(images.mean(dim=1, keepdim=True).expand_as(images), self.share).flatten(1)
