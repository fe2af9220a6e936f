"""Small training sets made on the spot, and a small network: what the checks run on, and tests may."""

from __future__ import annotations

from collections.abc import Generator

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from locality.dataset import Dataset, InMemory
from locality.device import Compute
from locality.linear.statistics import Derived, Statistics
from locality.store import Store
from locality.types import ImageShape
from locality.work import Progress

COLOUR, GREY = ImageShape(2, 5, 6), ImageShape(1, 5, 6)


class Given(InMemory):
    """A training set whose images are looked at."""

    def x0(self) -> Float[Tensor, "n d"]:
        """All images, float64, in [-1, 1]."""
        data = self.data.data
        return data.double() / 127.5 - 1.0 if self.data.is_8bit else data.double()


class Pair(Given, Derived):
    """A set in memory with a second split: the same images backwards."""

    @property
    def held_out(self) -> Dataset:
        return Dataset(self.data.name, "test", self.data.shape, self.data.data.flip(0))

    def derive(self, compute: Compute, store: Store) -> Generator[Progress, None, Statistics | None]:
        yield from ()
        return None


def given(
    data: Shaped[Tensor, "n d"], shape: ImageShape, labels: Int[Tensor, " n"] | None = None, name: str = "made"
) -> Given:
    """Images as a training set."""
    return Given(Dataset(name, "train", shape, data, labels))


def values(count: int, shape: ImageShape, seed: int = 0) -> Float[Tensor, "n d"]:
    """Images whose neighbouring pixels and channels are alike, within [-1, 1]: float64."""
    generator = torch.Generator().manual_seed(seed)
    level = torch.randn(count, 1, 1, 1, generator=generator, dtype=torch.float64)
    slope = torch.randn(count, shape.c, 1, 1, generator=generator, dtype=torch.float64)
    rough = torch.randn(count, *shape, generator=generator, dtype=torch.float64).cumsum(3)
    return (0.2 * level + 0.1 * slope + 0.2 * rough).clamp(-1, 1).flatten(1)


def eight_bit(count: int = 40, shape: ImageShape = COLOUR, seed: int = 0, name: str = "made") -> Given:
    """8-bit images of the classes 0, 1 and 3."""
    data = ((values(count, shape, seed) + 1) * 127.5).round().to(torch.uint8)
    return given(data, shape, torch.tensor([0, 1, 3])[torch.arange(count) % 3], name)


def floats(count: int = 40, shape: ImageShape = GREY, seed: int = 0) -> Given:
    """Float images of the classes 0, 1 and 3, one pixel the same in all."""
    data = values(count, shape, seed).float()
    data[:, 3] = 0.25
    return given(data, shape, torch.tensor([0, 1, 3])[torch.arange(count) % 3])


def noisy(
    images: Given, count: int, sigma: float, seed: int = 1, dtype: torch.dtype = torch.float64
) -> Float[Tensor, "b d"]:
    """x0 + sigma * eps of the first images; the noise does not depend on the type."""
    eps = torch.randn(count, images.shape.d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (images.x0()[:count] + sigma * eps).to(dtype)


class SmallNetwork:
    """A denoiser with weights: one layer, (x + A x) / (1 + sigma^2), A drawn from the seed."""

    def __init__(self, shape: ImageShape, seed: int = 0) -> None:
        self.shape = shape
        self.net = torch.nn.Linear(shape.d, shape.d, bias=False)
        generator = torch.Generator().manual_seed(seed)
        places = torch.arange(shape.d)
        near = torch.exp(-(places[:, None] - places).abs() / 2.0)
        with torch.no_grad():
            self.net.weight.copy_(near * torch.randn(shape.d, shape.d, generator=generator) * 0.3)

    def __call__(self, x: Float[Tensor, "b d"], sigma: float) -> Float[Tensor, "b d"]:
        out: Tensor = (x + x @ self.net.weight.to(x).T) / (1.0 + sigma**2)
        return out
