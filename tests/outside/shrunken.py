"""A denoiser that lies outside the package: the mean, and a part of what differs from it."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from locality.dataset import Images
from locality.denoisers import DENOISERS, DenoiserSpec
from locality.device import Compute
from locality.schedule import check_sigma
from locality.specs import param
from locality.store import Store
from locality.types import Denoiser, ImageShape
from locality.work import Progress


@DENOISERS.register("shrunken")
@dataclass(frozen=True)
class Shrunken(DenoiserSpec):
    """mu + (x - mu) / (1 + s sigma^2): every pixel hears itself alone."""

    paper: ClassVar[str] = "Nobody's: it shows how a plug-in is written"
    cost: ClassVar[str] = "d per image and step"
    examples: ClassVar[tuple[str, ...]] = ("shrunken", "shrunken:speed=2.5")

    speed: float = param(1.0, help="How fast s it fades with the noise.", low=0.1, high=10.0)

    def fit(
        self, images: Images, compute: Compute, store: Store, reference: Denoiser | None = None
    ) -> Generator[Progress, None, ShrunkenDenoiser]:
        """The mean image."""
        yield Progress(0.0, 1.0, "Mean")
        mean = images.train.x0(slice(None)).double().mean(dim=0)
        return ShrunkenDenoiser(images.shape, mean, self.speed)


@dataclass(frozen=True, eq=False)
class ShrunkenDenoiser:
    """Memory: that of its input."""

    shape: ImageShape
    mean: Float[Tensor, " d"]
    speed: float

    def __call__(self, x: Float[Tensor, "b d"], sigma: float) -> Float[Tensor, "b d"]:
        self.shape.check(x)
        return self.mean.to(x) + (x - self.mean.to(x)) / (1 + self.speed * check_sigma(sigma) ** 2)
