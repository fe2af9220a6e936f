"""Some of the training images, for what is learned without the others."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from locality.dataset import Dataset, Images
from locality.types import ImageShape

_VALUES = 2**24  # summed at a time: each becomes eight bytes on the way


@dataclass(frozen=True)
class Part(Images):
    """The first `count` training images of another set."""

    whole: Images
    count: int

    @property
    def name(self) -> str:
        return self.whole.name

    @property
    def typed(self) -> str:
        return f"the first {self.count} of {self.whole.typed}"

    @property
    def shape(self) -> ImageShape:
        return self.whole.shape

    @property
    def fingerprint(self) -> str:
        return self.train.fingerprint

    @property
    def train(self) -> Dataset:
        return self.whole.train.first(self.count)


def mean_image(train: Dataset) -> Float[Tensor, " d"]:
    """Mean image, float32, summed exactly for 8-bit pixels."""
    kind = torch.int64 if train.is_8bit else torch.float64
    size = max(1, min(8192, _VALUES // train.shape.d))
    sums = torch.stack([chunk.sum(dim=0, dtype=kind) for chunk in train.chunks(size)])
    mean = sums.sum(dim=0).double() / len(train)
    return (mean / 127.5 - 1.0 if train.is_8bit else mean).float()
