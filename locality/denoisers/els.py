"""The equivariant local score model: patches of the training images may come from anywhere."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from locality.dataset import Images
from locality.denoisers.ls import CHUNK, KAMB_GANGULI, local_windows, weigh
from locality.denoisers.parts.averaging import AverageOfBank
from locality.denoisers.parts.bank import Bank, precise
from locality.denoisers.parts.boxes import box, planes, round_bands, squared_difference
from locality.denoisers.parts.compiled import runs_compiled
from locality.denoisers.parts.evidence import TOP, Evidence, Heaviest
from locality.denoisers.parts.moves import Move, round_moves
from locality.denoisers.parts.shards import merged
from locality.denoisers.parts.spec import DENOISERS
from locality.denoisers.parts.turned import turned_posterior
from locality.denoisers.parts.windows import WindowedSpec, WindowSchedule
from locality.device import Compute, sent
from locality.posterior import PosteriorMean, stream
from locality.schedule import check_sigma
from locality.specs import param
from locality.store import Store
from locality.types import Denoiser, ImageShape, Pixel
from locality.work import Progress

_FEW = 300  # values of a patch up to which a product over all pairs of patches is faster than maps of all shifts
_PATCHES = 1 << 13  # candidate patches of one product
DEFAULT_FIRST = 1000  # all positions of all 50,000 CIFAR-10 images take hours on a CPU

# Images, repeated where the torus asks for it, a shift down and to the right, and the bands of its windows
Shift = tuple[Float[Tensor, "c H W k"], Move, Move, tuple[Float[Tensor, "a s"], Float[Tensor, "e t"]]]


@DENOISERS.register("els")
@dataclass(frozen=True)
class EquivariantLocalScore(WindowedSpec):
    """Posterior mean of each pixel over the P x P patches at all positions of all images, on the torus."""

    paper: ClassVar[str] = "Kamb, Ganguli 2025 (arXiv 2412.20292)"
    cost: ClassVar[str] = "N (h w)^2 c per image and step, whatever the window; for whole images N h w c log(h w)"
    examples: ClassVar[tuple[str, ...]] = ("els:window=3", "els:window=6")
    published: ClassVar[Mapping[tuple[str, str], WindowSchedule]] = KAMB_GANGULI

    first: int = param(DEFAULT_FIRST, help="Use at most the first N training images; 0 for all (slow).", low=0)

    def sides(self, shape: ImageShape) -> list[int]:
        return sorted({*super().sides(shape), max(shape.h, shape.w)})  # the whole torus, odd or not

    @property
    def exempt(self) -> Mapping[str, str]:
        return {
            **super().exempt,
            "noise_drowns_everything": "the mean over all places, whose patches are candidates everywhere",
            "averages_stay_in_range": "patches come from other places: within the range of the channel alone",
        }

    @classmethod
    def released(cls, dataset: str, shape: ImageShape) -> dict[str, str]:
        """With the published windows where there are some, else those of the data."""
        listed = (dataset, "unet") in cls.published
        return {"Kamb-Ganguli": f"{cls.name}:window=published" if listed else cls.name}

    def fit(
        self, images: Images, compute: Compute, store: Store, reference: Denoiser | None = None
    ) -> Generator[Progress, None, EquivariantDenoiser]:
        """The window sizes of `ls`; the training images are the rest of the model."""
        bank = self.bank(images, compute)
        windows = yield from local_windows(self, images, bank, compute, store, reference)
        return EquivariantDenoiser(bank, windows)


@dataclass(frozen=True, eq=False)
class EquivariantDenoiser(AverageOfBank):
    """For every shift, maps of differences, box-filtered: compiled where that runs, else small patches by one product
    over all pairs. Whole images: all shifts at once, by Fourier transforms.

    Memory: a few maps of h w floats per image of a chunk, within the budget of Compute.
    """

    around: ClassVar[bool] = True  # whether beyond an edge is the opposite one

    windows: WindowSchedule

    def posterior(self, x: Float[Tensor, "b d"], sigma: float) -> PosteriorMean:
        """The average before it is divided [b d]. Raises as a call."""
        self.shape.check(x)
        size = self.windows.at(check_sigma(sigma))
        once = size % 2 == 1 and size <= min(self.shape.h, self.shape.w)  # a patch holds no pixel of the torus twice
        if once and runs_compiled(self.bank, x):
            from locality.denoisers.parts import shifts  # Numba takes half a second to load

            memory = shifts.memory(self.shape, len(x))
            if all(memory <= part.memory for part in self.bank.parts):
                moves = self.moves(self.shape.h, size), self.moves(self.shape.w, size)
                return shifts.shift_posterior(self.bank, x, sigma, size, moves, self.around)
        if once and size**2 * self.shape.c <= _FEW:
            return self.by_patches(x, sigma, size)
        if self.is_whole(size):
            return turned_posterior(self.bank, x, sigma)
        return self.by_shifts(x, sigma, size)

    def by_patches(self, x: Float[Tensor, "b d"], sigma: float, size: int) -> PosteriorMean:
        """Patches as vectors; all distances of one noisy image to some images as one matrix product."""
        c, h, w = self.shape
        scale = 1.0 / sigma**2
        dtype = precise(x.dtype, size**2 * c, sigma)

        def average(bank: Bank, x: Float[Tensor, "b d"]) -> PosteriorMean:
            groups = [sent(group, x.device) for group in self.groups(size)]
            order = torch.cat(groups).argsort()

            def partial(queries: Float[Tensor, "b d"], x_kd: Float[Tensor, "k d"]) -> PosteriorMean:
                theirs, centres = self.patches(x_kd, size), x_kd.reshape(-1, c, h * w)
                each = []
                for ours in self.patches(queries, size):
                    parts = []
                    for group in groups:
                        there = theirs[:, group].flatten(0, 1)
                        values = centres[:, :, group].transpose(1, 2).flatten(0, 1)
                        own = there.square().sum(dim=1)[None] * (-0.5 * scale)
                        logits = torch.addmm(own, ours[group] * scale, there.T)
                        parts.append(PosteriorMean.of(logits, lambda e, values=values: (e @ values).T))  # type: ignore[misc]
                    every = (torch.cat(part, dim=-1)[..., order] for part in zip(*parts, strict=True))
                    each.append(PosteriorMean(*every))
                return PosteriorMean.stacked(each)

            one = dtype.itemsize * h * w * (2 * size**2 * c + 2 * h * w + 4 * c)
            k = bank.fit(one, most=max(1, _PATCHES // (h * w)))
            return stream(x, bank.chunks(k, dtype), partial, bank.count(k))

        return merged(self.bank, x.to(dtype), average).flat()

    def patches(self, flat: Float[Tensor, "k d"], size: int) -> Float[Tensor, "k p v"]:
        """The patch around every pixel, on the torus."""
        padded = torch.nn.functional.pad(flat.reshape(-1, *self.shape), (size // 2,) * 4, mode="circular")
        return torch.nn.functional.unfold(padded, size).transpose(1, 2)

    def groups(self, size: int) -> list[Int[Tensor, " p"]]:
        """Pixels whose patches are compared with each other's: all of them."""
        return [torch.arange(self.shape.h * self.shape.w)]

    def by_shifts(self, x: Float[Tensor, "b d"], sigma: float, size: int) -> PosteriorMean:
        """Integral maps: for every shift between query and candidate, all windows at once."""
        _, h, w = self.shape
        scale = -0.5 / sigma**2

        def partial(queries: Float[Tensor, "b d"], part: Shift) -> PosteriorMean:
            items, down, right, bands = part
            there, centre = items[:, down.there, right.there], items[:, down.centre, right.centre]
            each = []
            for query in queries.reshape(-1, *self.shape)[:, :, down.seen, right.seen]:
                logits = box(squared_difference(query, there), *bands)
                each.append(PosteriorMean.of(logits, lambda e: weigh(e, centre)))
            around = (right.answered.start, w - right.answered.stop, down.answered.start, h - down.answered.stop)
            return PosteriorMean.stacked(each).padded(*around)

        def average(bank: Bank, x: Float[Tensor, "b d"]) -> PosteriorMean:
            rows, cols = (sent(band, x.device).to(x) for band in self.bands(size))
            downs, rights = self.moves(h, size), self.moves(w, size)
            k = bank.fit(x.dtype.itemsize * (6 * self.shape.d + 5 * h * w), most=CHUNK)

            def parts() -> Iterator[Shift]:
                for x_kd in bank.chunks(k, x.dtype):
                    items = self.extended(planes(x_kd, self.shape))
                    for down in downs:
                        for right in rights:
                            bands = rows[down.answered, down.seen], cols[right.answered, right.seen] * scale
                            yield items, down, right, bands

            return stream(x, parts(), partial, bank.count(k) * len(downs) * len(rights))

        return merged(self.bank, x, average).flat()

    def is_whole(self, size: int) -> bool:
        """Whether every patch is its whole image, turned."""
        return size // 2 >= max(self.shape.h, self.shape.w) // 2

    def bands(self, size: int) -> tuple[Float[Tensor, "h h"], Float[Tensor, "w w"]]:
        """Windows along rows and columns: around the torus."""
        return round_bands(self.shape.h, size), round_bands(self.shape.w, size)

    def moves(self, n: int, size: int) -> list[Move]:
        """All shifts along an axis of n places on a circle."""
        return round_moves(n)

    def extended(self, items: Float[Tensor, "c h w k"]) -> Float[Tensor, "c H W k"]:
        """Images repeated to the right and below, so that every shift on the torus is a view."""
        wide = torch.cat([items, items[:, :, :-1]], dim=2)
        return torch.cat([wide, wide[:, :-1]], dim=1)

    def candidates(self, size: int, pixel: Pixel) -> Bool[Tensor, "h w"]:
        """Places a pixel's patch is compared with: everywhere."""
        return torch.ones(self.shape.h, self.shape.w, dtype=torch.bool)

    def explain(self, x: Float[Tensor, " d"], pixel: Pixel, sigma: float, top: int = TOP) -> Evidence:
        """The patches averaged at this pixel and where they lie.

        Distances to one patch at all places are correlations: O(N h w log(h w)) in float64.
        """
        size, (c, h, w) = self.windows.at(sigma), self.shape
        rows, cols = self.bands(size)
        window = torch.outer(rows[pixel.row], cols[pixel.col])
        centred = window.to(x.device).double().roll((-pixel.row, -pixel.col), dims=(0, 1))
        patch = x.double().reshape(c, h, w).roll((-pixel.row, -pixel.col), dims=(1, 2)) * centred
        kernel, mask = torch.fft.rfft2(patch).conj(), torch.fft.rfft2(centred).conj()
        scale = -0.5 / check_sigma(sigma) ** 2
        allowed = self.candidates(size, pixel).to(x.device)
        k = self.bank.fit(8 * (5 * self.shape.d + 7 * h * w), most=CHUNK)
        heaviest = Heaviest(top)
        for x_kd in self.bank.chunks(k, torch.float64):
            items = x_kd.reshape(-1, c, h, w)
            spectrum = torch.fft.rfft2(items.square().sum(dim=1)) * mask
            spectrum -= 2.0 * (torch.fft.rfft2(items) * kernel).sum(dim=1)
            logits = (torch.fft.irfft2(spectrum, s=(h, w)) * scale).masked_fill(~allowed, -torch.inf)
            heaviest.add(logits.flatten())
        return heaviest.evidence(self.bank, window, self.shape)
