"""Fields of pixels of any denoiser, the best way there is for it: nobody else asks what kind it is.

    affine in x (`Linear`)          its matrix has them, the same for every image: exact
    knows its own derivative        `field_rows` asks it, image by image (see `locality.fields.jacobian`)
    anything else                   a backward pass an output and image

The last two depend on the image, so they are averaged over draws: noisy images, which are asked for only then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from locality.errors import BadInput
from locality.fields.jacobian import Average, field_rows, pixel_outputs
from locality.types import Denoiser, ImageShape, Pixel

NoisyImages = Callable[[float], Float[Tensor, "k d"]]  # x0 + sigma * eps at a noise level


@runtime_checkable
class Linear(Protocol):
    """What is affine in x at every noise level: x0_hat = m + W(sigma) (x - m'), with W known."""

    @property
    def shape(self) -> ImageShape: ...

    def rows(self, coords: Int[Tensor, " p"], sigma: float) -> Float[Tensor, "p d"]:
        """Rows of W: how the estimate of each coordinate weighs every input coordinate."""
        ...


@dataclass(frozen=True, eq=False)
class Field:
    """A field averaged over draws: `values` [m, c, h, w] and the standard error of each value.

    Where it is exact `draws` is None and the error 0; of one draw the error is nan.
    """

    values: Float[Tensor, "m c h w"]
    stderr: Float[Tensor, "m c h w"]
    draws: int | None


@dataclass(frozen=True, eq=False)
class Rows:
    """Fields of m outputs: `each` holds one per draw, or the one that all draws share where `draws` is None."""

    each: Float[Tensor, "m k d"]
    draws: int | None
    shape: ImageShape

    def summed(self) -> Float[Tensor, "m k hw"]:
        """Per draw, summed over input channels."""
        m, k, _ = self.each.shape
        return self.each.reshape(m, k, self.shape.c, -1).sum(dim=2)

    def average(self, how: Average = "mean") -> Field:
        """Over the draws: the signed mean E[J] or the mean size E|J|; summed in float64."""
        rows = self.each.abs().double() if how == "absolute" else self.each.double()
        if self.draws is None:
            error = torch.zeros_like(rows[:, 0])
        elif self.draws == 1:
            error = torch.full_like(rows[:, 0], torch.nan)
        else:
            error = rows.std(dim=1) / self.draws**0.5
        shape = (len(rows), *self.shape)
        return Field(rows.mean(dim=1).float().reshape(shape), error.float().reshape(shape), self.draws)


def rows(
    denoiser: Denoiser | Linear,
    pixels: Sequence[Pixel],
    sigma: float,
    draws: NoisyImages | None = None,
    *,
    channel: int | None = None,
    batch: int = 16,
) -> Rows:
    """Fields of some pixels: of one output channel, or (None) of the sum over the pixel's channels.

    Args:
        sigma: noise level, in units of x0.
        draws: the noisy images to average over; called only where the field depends on the image, needed only there.
        batch: images at a time; bounds memory and never changes the result.

    Raises:
        BadInput: a pixel or channel outside the image, sigma is not a noise level, or no draws where they are needed.
        NonFinite: the denoiser's derivative is NaN or infinite.
    """
    outputs = torch.cat([pixel_outputs(denoiser.shape, pixel, channel) for pixel in pixels])
    return output_rows(denoiser, outputs, sigma, draws, batch=batch)


def output_rows(
    denoiser: Denoiser | Linear,
    outputs: Float[Tensor, "m d"],
    sigma: float,
    draws: NoisyImages | None = None,
    *,
    batch: int = 16,
) -> Rows:
    """As `rows`, of any linear combinations of the outputs: outputs @ J. Raises as `rows`."""
    if isinstance(denoiser, Linear):
        coords = outputs.any(dim=0).nonzero().flatten()
        known = denoiser.rows(coords, sigma)
        return Rows((outputs[:, coords].to(known) @ known)[:, None], None, denoiser.shape)
    if draws is None:
        raise BadInput("This field depends on the noisy image. Give draws: noisy images to average it over.")
    x = draws(sigma)
    parts = [field_rows(denoiser, part, outputs, sigma) for part in x.split(batch)]
    return Rows(torch.cat(parts, dim=1), len(x), denoiser.shape)
