"""The local score model: every pixel is the posterior mean given its own window of the noisy image."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from locality.dataset import Images
from locality.denoisers.parts.averaging import AverageOfBank
from locality.denoisers.parts.bank import Bank
from locality.denoisers.parts.boxes import box, cut_bands, planes, squared_difference
from locality.denoisers.parts.covariance import pixels_read, posterior_rows
from locality.denoisers.parts.evidence import TOP, Evidence, evidence, masked_logits, softmax_weights
from locality.denoisers.parts.shards import merged
from locality.denoisers.parts.spec import DENOISERS
from locality.denoisers.parts.walk import quick_posterior, ready
from locality.denoisers.parts.walk_plan import Masks, last_masks
from locality.denoisers.parts.windows import WindowedSpec, WindowSchedule
from locality.device import Compute
from locality.linear.wiener import coordinates
from locality.posterior import PosteriorMean, stream
from locality.schedule import check_sigma
from locality.store import Store
from locality.types import Denoiser, ImageShape, Pixel
from locality.work import Progress

# Kamb, Ganguli 2025 (arXiv 2412.20292): one size for each of 20 steps, least noise first.
_STEPS = tuple(math.tan(math.pi * i / 20 / 2.016) for i in range(1, 21))
KAMB_GANGULI = {
    trained: WindowSchedule(_STEPS, sizes)
    for trained, sizes in {
        ("cifar10", "unet"): (3, 3, 3, 3, 5, 5, 5, 5, 7, 7, 7, 7, 9, 9, 11, 13, 13, 15, 17, 25),
        ("cifar10", "resnet"): (3, 3, 3, 3, 5, 5, 5, 7, 7, 7, 7, 9, 9, 11, 11, 13, 15, 17, 17, 17),
        ("mnist", "unet"): (3, 3, 3, 5, 5, 7, 7, 7, 9, 9, 9, 11, 13, 15, 17, 21, 23, 23, 25, 27),
        ("fashion_mnist", "unet"): (3, 3, 5, 5, 7, 7, 7, 9, 11, 11, 11, 13, 15, 15, 21, 23, 25, 25, 25, 25),
    }.items()
}
CHUNK = 256  # images whose maps fit a processor's cache


@DENOISERS.register("ls")
@dataclass(frozen=True)
class LocalScore(WindowedSpec):
    """Posterior mean of each pixel given a P x P window around it, cut at the border; channels share weights."""

    paper: ClassVar[str] = "Kamb, Ganguli 2025 (arXiv 2412.20292)"
    cost: ClassVar[str] = "N h w c per image and step, whatever the window"
    ablations: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "windows": tuple(f"ls:window={window}" for window in ("published", "calibrated", 3, 7, 15)),
        "flips": ("ls:flips=true",),
    }
    examples: ClassVar[tuple[str, ...]] = ("ls", "ls:window=3", "ls:window=11,flips=true")
    published: ClassVar[Mapping[tuple[str, str], WindowSchedule]] = KAMB_GANGULI

    def sides(self, shape: ImageShape) -> list[int]:
        return list(range(1, 2 * max(shape.h, shape.w), 2))

    def fit(
        self, images: Images, compute: Compute, store: Store, reference: Denoiser | None = None
    ) -> Generator[Progress, None, LocalScoreDenoiser]:
        """The window sizes; the training images are the rest of the model."""
        bank = self.bank(images, compute)
        yield from ready(images.shape.c)
        windows = yield from local_windows(self, images, bank, compute, store, reference)
        return LocalScoreDenoiser(bank, windows)


def local_windows(
    spec: WindowedSpec, images: Images, bank: Bank, compute: Compute, store: Store, reference: Denoiser | None
) -> Generator[Progress, None, WindowSchedule]:
    """Window sizes of the local score model, which its equivariant forms use too."""
    return (
        yield from spec.schedule(
            images,
            bank,
            local_score,
            largest=2 * max(images.shape.h, images.shape.w) - 1,
            owner="ls",
            compute=compute,
            store=store,
            reference=reference,
        )
    )


def local_score(bank: Bank, size: int) -> LocalScoreDenoiser:
    """The model with one window size at every noise level."""
    return LocalScoreDenoiser(bank, WindowSchedule((1.0,), (size,)))


@dataclass(frozen=True, eq=False)
class LocalScoreDenoiser(AverageOfBank):
    """Walks over the windows, or sums their maps where the walk does not serve or its masks exceed the budget.

    Memory: the budget of Compute, and at most as much for the masks of the last window size, which are kept.
    """

    windows: WindowSchedule
    plans: dict[int, Masks] = field(default_factory=dict)

    def posterior(self, x: Float[Tensor, "b d"], sigma: float) -> PosteriorMean:
        """The average before it is divided [b d]. Raises as a call."""
        self.shape.check(x)
        size, (_, h, w) = self.windows.at(check_sigma(sigma)), self.shape
        if h * w * self.shape.d <= self.bank.memory:
            found = quick_posterior(self.bank, self.plan(sigma), x, sigma)
            if found is not None:
                return found

        def average(bank: Bank, x: Float[Tensor, "b d"]) -> PosteriorMean:
            rows = cut_bands(h, size, x.device).to(x)
            cols = cut_bands(w, size, x.device).to(x) * (-0.5 / sigma**2)

            def partial(queries: Float[Tensor, "b d"], x_kd: Float[Tensor, "k d"]) -> PosteriorMean:
                items = planes(x_kd, self.shape)
                each = [
                    PosteriorMean.of(box(squared_difference(query, items), rows, cols), lambda e: weigh(e, items))
                    for query in queries.reshape(-1, *self.shape)
                ]
                return PosteriorMean.stacked(each)

            k = bank.fit(x.dtype.itemsize * (2 * self.shape.d + 5 * h * w), most=CHUNK)
            return stream(x, bank.chunks(k, x.dtype), partial, bank.count(k))

        return merged(self.bank, x, average).flat()

    def jacobian_rows(
        self, x: Float[Tensor, "b d"], outputs: Float[Tensor, "m d"], sigma: float
    ) -> Float[Tensor, "m b d"]:
        """outputs @ J of every image, from the windows of the pixels that the outputs read. Raises as a call."""
        self.shape.check(x)
        size, scale = self.windows.at(sigma), 1.0 / check_sigma(sigma) ** 2
        pixels = pixels_read(outputs, self.shape)
        groups = ((coordinates(self.shape, pixel), window_coordinates(self.shape, pixel, size)) for pixel in pixels)
        return posterior_rows(self.bank, x, outputs, scale, groups)

    def plan(self, sigma: float) -> Masks:
        """The windows at a noise level as masks: one row a pixel, which all its channels share."""
        size, (c, h, w) = self.windows.at(sigma), self.shape

        def made() -> Masks:
            rows, cols = cut_bands(h, size).bool(), cut_bands(w, size).bool()
            near = (rows[:, None, :, None] & cols[None, :, None, :]).reshape(h * w, h * w)
            return Masks(near.repeat(1, c), torch.arange(h * w)[:, None] + torch.arange(c) * h * w, self.shape)

        return last_masks(self.plans, size, made)

    def explain(self, x: Float[Tensor, " d"], pixel: Pixel, sigma: float, top: int = TOP) -> Evidence:
        """The images averaged at this pixel, by their window there: O(N P^2)."""
        window = around(self.shape, pixel, self.windows.at(sigma))
        coords = window_coordinates(self.shape, pixel, self.windows.at(sigma)).to(x.device)
        logits = masked_logits(self.bank, x, coords, 0.5 / check_sigma(sigma) ** 2)
        return evidence(self.bank, softmax_weights(logits), window, top)


def weigh(weights: Float[Tensor, "h w k"], items: Float[Tensor, "c h w k"]) -> Float[Tensor, "c h w"]:
    """sum_k weights * items, for every channel."""
    return torch.einsum("hwk,chwk->chw", weights, items)


def window_coordinates(shape: ImageShape, pixel: Pixel, size: int) -> Int[Tensor, " u"]:
    """The coordinates in the window of a pixel, all channels."""
    return around(shape, pixel, size).flatten().repeat(shape.c).nonzero().flatten()


def around(shape: ImageShape, pixel: Pixel, size: int) -> Float[Tensor, "h w"]:
    """1 in the window of a pixel, 0 elsewhere."""
    return torch.outer(cut_bands(shape.h, size)[pixel.row], cut_bands(shape.w, size)[pixel.col])
