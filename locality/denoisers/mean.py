"""The mean image, whatever is asked: what a model must explain more than."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from locality.dataset import Images
from locality.denoisers.parts.part import mean_image
from locality.denoisers.parts.spec import DENOISERS, DenoiserSpec
from locality.device import Compute
from locality.schedule import check_sigma
from locality.store import Store
from locality.types import Denoiser, ImageShape
from locality.work import Progress


@DENOISERS.register("mean")
@dataclass(frozen=True)
class Mean(DenoiserSpec):
    """mu, the mean of the training images: every denoiser's limit as sigma grows, and the least of the controls."""

    paper: ClassVar[str] = "The limit sigma -> infinity of every denoiser"
    cost: ClassVar[str] = "nothing"
    examples: ClassVar[tuple[str, ...]] = ("mean",)

    @property
    def exempt(self) -> Mapping[str, str]:
        return {"clean_images_stay": "it does not look at the image"}

    def fit(
        self, images: Images, compute: Compute, store: Store, reference: Denoiser | None = None
    ) -> Generator[Progress, None, MeanDenoiser]:
        """One pass over the training images."""
        yield Progress(0.0, 1.0, "Mean of the training images")
        return MeanDenoiser(images.shape, mean_image(images.train))


@dataclass(frozen=True, eq=False)
class MeanDenoiser:
    """The same answer to everything; its field is zero."""

    shape: ImageShape
    mean: Float[Tensor, " d"]

    def on(self, device: torch.device) -> MeanDenoiser:
        """The same on a device."""
        return MeanDenoiser(self.shape, self.mean.to(device))

    def __call__(self, x: Float[Tensor, "b d"], sigma: float) -> Float[Tensor, "b d"]:
        """Raises BadInput (size of x, sigma), NonFinite (x)."""
        self.shape.check(x)
        check_sigma(sigma)
        return self.mean.to(x).expand_as(x).clone()

    def jacobian_rows(
        self, x: Float[Tensor, "b d"], outputs: Float[Tensor, "m d"], sigma: float
    ) -> Float[Tensor, "m b d"]:
        """Zeros. Raises as a call."""
        self.shape.check(x)
        check_sigma(sigma)
        return torch.zeros(len(outputs), *x.shape, dtype=x.dtype, device=x.device)
