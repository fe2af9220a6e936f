"""Fields of one pixel: predicted exactly, or averaged over draws of held-out images and noise."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from locality.datasets import Source
from locality.device import Compute
from locality.errors import BadInput
from locality.fields.jacobian import Average, draw_inputs
from locality.fields.rows import Field, NoisyImages, output_rows
from locality.linear.wiener import coordinates
from locality.store import Store
from locality.studies.models import open_denoiser
from locality.types import Denoiser, Pixel
from locality.work import Progress


@dataclass(frozen=True)
class Draws:
    """Which noisy images a learned field is averaged over: K held-out images, each with its own noise."""

    count: int = 16
    seed: int = 0
    average: Average = "mean"

    def __post_init__(self) -> None:
        if not 1 <= self.count <= 4096:
            raise BadInput(f"draws={self.count}: give 1..4096.")
        if not 0 <= self.seed < 2**31:
            raise BadInput(f"seed={self.seed}: give 0..{2**31 - 1}.")
        if self.average not in ("mean", "absolute"):
            raise BadInput(f"average={self.average!r}: choose mean or absolute.")

    def images(self, source: Source) -> Float[Tensor, "k d"]:
        """The held-out images of the draws, in random order without repeats while they last.

        Raises:
            DataUnavailable: the images are not on this machine.
        """
        held_out = source.held_out
        order = torch.randperm(len(held_out), generator=torch.Generator().manual_seed(self.seed))
        return held_out.x0(order[torch.arange(self.count) % len(order)])

    def of(self, source: Source, device: str = "cpu") -> NoisyImages:
        """The noisy images of the draws, made when they are asked for; the last noise level's are kept.

        Asking raises as `images`.
        """

        @lru_cache(maxsize=1)
        def noisy(sigma: float) -> Float[Tensor, "k d"]:
            return draw_inputs(self.images(source).to(device), sigma, self.seed)

        return noisy


def learned_field(
    denoiser: Denoiser,
    x0: Float[Tensor, "k d"],
    outputs: Float[Tensor, "m d"],
    sigma: float,
    draws: Draws,
) -> Field:
    """Field of a denoiser: exact, or averaged over noisy images x0 (see `locality.fields.rows`)."""

    def noisy(sigma: float) -> Float[Tensor, "k d"]:
        return draw_inputs(x0, sigma, draws.seed)

    return output_rows(denoiser, outputs, sigma, noisy, batch=Compute().draws).average(draws.average)


def pixel_field(
    source: Source, model: str, pixel: Pixel, sigma: float, draws: Draws, *, store: Store | None = None
) -> Generator[Progress, None, Float[Tensor, "c_out c_in h w"]]:
    """The full field of a pixel, d x0_hat[c_out, pixel] / d x[c_in, :, :], float32.

    Exact and independent of the draws for what is linear, as the Wiener filter is; averaged over them for the rest.
    """
    coords = coordinates(source.shape, pixel)
    denoiser = yield from open_denoiser(source, model, store=store)
    yield Progress(0.0, 1.0, f"Field of pixel {pixel.row},{pixel.col}")
    outputs = torch.eye(source.shape.d)[coords]
    return output_rows(denoiser, outputs, sigma, draws.of(source)).average(draws.average).values
