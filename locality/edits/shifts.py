"""Shifts: every image is moved around by a random circular shift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float64, Int
from torch import Tensor

from locality.dataset import Dataset
from locality.edits.parts.spec import EDITS, Closed, EditSpec, Stage, generator, transformed
from locality.linear.statistics import Statistics
from locality.specs import param
from locality.types import ImageShape


@EDITS.register("shifts")
@dataclass(frozen=True)
class Shifts(EditSpec):
    """Random circular shifts: the covariance of two pixels depends on their offset alone."""

    heading: ClassVar[str] = "Shifts"
    about: ClassVar[str] = (
        r"x_0'[p] = x_0[p + \delta],\quad \delta \text{ random per image, around the torus}:\quad "
        r"S'[p, q] \text{ depends on } q - p \text{ alone}"
    )
    main: ClassVar[str] = "share"
    symbol: ClassVar[str] = "t"
    place: ClassVar[int] = 5
    examples: ClassVar[tuple[str, ...]] = ("shifts", "shifts:share=0.3,seed=1")
    dial: ClassVar[str] = "share"
    closed: ClassVar[Closed] = "expected"

    share: float = param(1.0, help="Share of the images that are shifted.", low=0.0, high=1.0)
    seed: int = param(0, help="Seed of the shifts.", low=0, high=2**31 - 1)

    def images(self, data: Dataset, stage: Stage) -> Dataset:
        by = self.draws(len(data), data.split, data.shape)
        return transformed(data, lambda stored, rows: shifted(stored, by[rows], data.shape), raw=True)

    def statistics(self, before: Statistics, stage: Stage) -> Statistics | None:
        """Second moments are averaged over all shifts, and mixed with those of the images that stay."""
        shape, n = stage.images.shape, before.count
        second = before.cov * ((n - 1) / n) + torch.outer(before.mean, before.mean)
        mean = before.mean.lerp(_level(before.mean, shape), self.share)
        second = second.lerp(_stationary(second, shape), self.share)
        return Statistics(n, mean, (second - torch.outer(mean, mean)) * (n / (n - 1)))

    def draws(self, count: int, split: str, shape: ImageShape) -> Int[Tensor, "n 2"]:
        """Rows and columns each image is shifted by; 0, 0 for those that stay."""
        draws = generator(self, self.seed, split).random((count, 3))
        sides = np.array([shape.h, shape.w])
        moved = np.floor(draws[:, 1:] * sides) * (draws[:, :1] < self.share)
        return torch.from_numpy(moved.astype(np.int64))


def shifted(stored: Tensor, by: Int[Tensor, "k 2"], shape: ImageShape) -> Tensor:
    """Images rolled down and to the right, each by its own number of rows and columns."""
    rows = (torch.arange(shape.h) - by[:, :1]) % shape.h
    cols = (torch.arange(shape.w) - by[:, 1:]) % shape.w
    places = (rows[:, :, None] * shape.w + cols[:, None, :]).flatten(1)
    images = stored.reshape(len(stored), shape.c, -1)
    return images.gather(2, places[:, None].expand(-1, shape.c, -1)).flatten(1)


def _level(mean: Float64[Tensor, " d"], shape: ImageShape) -> Float64[Tensor, " d"]:
    """Each channel's mean everywhere."""
    return mean.reshape(shape.c, -1).mean(dim=1, keepdim=True).expand(-1, shape.h * shape.w).flatten()


def _stationary(second: Float64[Tensor, "d d"], shape: ImageShape) -> Float64[Tensor, "d d"]:
    """A matrix averaged over all common shifts of its rows and columns.

    In Fourier space that keeps, for each pair of channels, the diagonal alone.
    """
    c, h, w = shape
    both = torch.fft.fft2(second.reshape(c, h, w, c, h, w), dim=(1, 2))
    both = torch.fft.ifft2(both, dim=(4, 5))  # conjugated on one side
    diagonal = both.flatten(1, 2).flatten(3, 4).diagonal(dim1=1, dim2=3)  # [c c hw]
    kernel = torch.fft.ifft2(diagonal.reshape(c, c, h, w)).real  # of the offset from the second pixel to the first
    rows = (torch.arange(h)[:, None] - torch.arange(h)) % h
    cols = (torch.arange(w)[:, None] - torch.arange(w)) % w
    spread = kernel[:, :, rows[:, None, :, None], cols[None, :, None, :]]  # [c c h w h w]
    found: Float64[Tensor, "d d"] = spread.permute(0, 2, 3, 1, 4, 5).reshape(shape.d, shape.d).contiguous()
    return found
