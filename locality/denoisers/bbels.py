"""The border-aware equivariant model: a patch is compared with patches that touch the border in the same way."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from locality.dataset import Images
from locality.denoisers.els import DEFAULT_FIRST, EquivariantDenoiser
from locality.denoisers.ls import KAMB_GANGULI, local_score, local_windows
from locality.denoisers.parts.boxes import cut_bands
from locality.denoisers.parts.evidence import TOP, Evidence
from locality.denoisers.parts.moves import Move, inner_moves
from locality.denoisers.parts.spec import DENOISERS
from locality.denoisers.parts.windows import WindowedSpec, WindowSchedule
from locality.device import Compute
from locality.posterior import PosteriorMean
from locality.specs import param
from locality.store import Store
from locality.types import Denoiser, Pixel
from locality.work import Progress


@DENOISERS.register("bbels")
@dataclass(frozen=True)
class BorderLocalScore(WindowedSpec):
    """As els, but inner patches meet inner ones, edge patches those at the same distance of that edge."""

    paper: ClassVar[str] = "Kamb, Ganguli 2025 (arXiv 2412.20292)"
    cost: ClassVar[str] = "at most N (h w)^2 c per image and step, less for large windows"
    examples: ClassVar[tuple[str, ...]] = ("bbels:window=3",)
    published: ClassVar[Mapping[tuple[str, str], WindowSchedule]] = KAMB_GANGULI

    first: int = param(DEFAULT_FIRST, help="Use at most the first N training images; 0 for all (slow).", low=0)

    @property
    def exempt(self) -> Mapping[str, str]:
        return {
            **super().exempt,
            "noise_drowns_everything": "the mean over all places at the same distance from the border",
            "averages_stay_in_range": "patches come from other places: within the range of the channel alone",
        }

    def fit(
        self, images: Images, compute: Compute, store: Store, reference: Denoiser | None = None
    ) -> Generator[Progress, None, BorderDenoiser]:
        """The window sizes of `ls`; the training images are the rest of the model."""
        bank = self.bank(images, compute)
        windows = yield from local_windows(self, images, bank, compute, store, reference)
        return BorderDenoiser(bank, windows)


@dataclass(frozen=True, eq=False)
class BorderDenoiser(EquivariantDenoiser):
    """Outside the image counts 0 for query and candidate: windows are cut at the border.

    A window as large as the image touches every border everywhere: only the same place is left, the
    local score model.
    """

    around: ClassVar[bool] = False

    def posterior(self, x: Float[Tensor, "b d"], sigma: float) -> PosteriorMean:
        size = self.windows.at(sigma)
        if size >= min(self.shape.h, self.shape.w):
            return local_score(self.bank, size).posterior(x, sigma)
        return super().posterior(x, sigma)

    def explain(self, x: Float[Tensor, " d"], pixel: Pixel, sigma: float, top: int = TOP) -> Evidence:
        size = self.windows.at(sigma)
        if size >= min(self.shape.h, self.shape.w):
            return local_score(self.bank, size).explain(x, pixel, sigma, top)
        return super().explain(x, pixel, sigma, top)

    def bands(self, size: int) -> tuple[Float[Tensor, "h h"], Float[Tensor, "w w"]]:
        return cut_bands(self.shape.h, size), cut_bands(self.shape.w, size)

    def patches(self, flat: Float[Tensor, "k d"], size: int) -> Float[Tensor, "k p v"]:
        """The patch around every pixel, 0 outside the image."""
        padded = torch.nn.functional.pad(flat.reshape(-1, *self.shape), (size // 2,) * 4)
        return torch.nn.functional.unfold(padded, size).transpose(1, 2)

    def groups(self, size: int) -> list[Int[Tensor, " p"]]:
        """Pixels of one border type: each border row or column on its own, inner ones together."""
        rows, cols = (_types(n, size // 2) for n in (self.shape.h, self.shape.w))
        return [(row[:, None] * self.shape.w + col).flatten() for row in rows for col in cols]

    def moves(self, n: int, size: int) -> list[Move]:
        """Shifts that take a place to one of the same border type: inner places to inner ones, others nowhere."""
        return inner_moves(n, size)

    def extended(self, items: Float[Tensor, "c h w k"]) -> Float[Tensor, "c h w k"]:
        """Nothing wraps around."""
        return items

    def candidates(self, size: int, pixel: Pixel) -> Bool[Tensor, "h w"]:
        """Places of the same border type: the same row (column) in a border, any inner one elsewhere."""
        margin = size // 2
        return torch.outer(_places(self.shape.h, margin, pixel.row), _places(self.shape.w, margin, pixel.col))


def _types(n: int, margin: int) -> list[Int[Tensor, " p"]]:
    """Places of one border type: those at each distance of each end, and all inner ones."""
    places = torch.arange(n)
    return [places[i : i + 1] for i in (*range(margin), *range(n - margin, n))] + [places[margin : n - margin]]


def _places(n: int, margin: int, at: int) -> Bool[Tensor, " n"]:
    places = torch.arange(n)
    inner = (places >= margin) & (places < n - margin)
    return inner if bool(inner[at]) else places == at
