"""Patch posterior means, composed: every pixel averages the answers of all square patches that cover it."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from locality.dataset import Images
from locality.denoisers.ls import CHUNK, weigh
from locality.denoisers.optimal import OptimalDenoiser
from locality.denoisers.parts.bank import Bank
from locality.denoisers.parts.boxes import box, inner_bands, planes, squared_difference
from locality.denoisers.parts.compiled import runs_compiled
from locality.denoisers.parts.evidence import TOP, Evidence, evidence
from locality.denoisers.parts.shards import merged, over_parts
from locality.denoisers.parts.spec import DENOISERS
from locality.denoisers.parts.windows import WindowedSpec, WindowSchedule
from locality.device import Compute
from locality.posterior import NOTHING, PosteriorMean, remember_little, stream
from locality.schedule import check_sigma, edm_grid
from locality.specs import param
from locality.store import Store
from locality.types import Denoiser, ImageShape, Pixel
from locality.work import Progress, heartbeat

# Niedoba et al. 2025 (arXiv 2411.19339): 18 steps of the EDM grid, most noise first.
PUBLISHED = (32,) * 7 + (23, 15, 11, 7, 5) + (3,) * 6

_FUSED = 9  # sides up to which compiled sums of sums cost less than products with band matrices


@DENOISERS.register("pspc_square")
@dataclass(frozen=True)
class SquarePatches(WindowedSpec):
    """Mean over all P x P patches that cover a pixel of the posterior mean given that patch."""

    paper: ClassVar[str] = "Niedoba, Zwartsenberg, Murphy, Wood 2025 (arXiv 2411.19339)"
    cost: ClassVar[str] = "2 N h w c per image and step, whatever the window"
    ablations: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "flips": ("pspc_square:flips=false",),
    }
    examples: ClassVar[tuple[str, ...]] = ("pspc_square", "pspc_square:window=3")
    published: ClassVar[Mapping[tuple[str, str], WindowSchedule]] = {
        ("cifar10", "unet"): WindowSchedule(tuple(edm_grid(18)), PUBLISHED)
    }

    flips: bool = param(True, help="Add every training image mirrored left to right.")

    def sides(self, shape: ImageShape) -> list[int]:
        smaller = min(shape.h, shape.w)
        return sorted({*range(1, smaller + 1, 2), smaller})  # patches lie inside the image: all of it, odd or not

    def fit(
        self, images: Images, compute: Compute, store: Store, reference: Denoiser | None = None
    ) -> Generator[Progress, None, SquarePatchesDenoiser]:
        """The window sizes; the training images are the rest of the model."""
        bank = self.bank(images, compute)
        windows = yield from self.schedule(
            images,
            bank,
            lambda some, size: SquarePatchesDenoiser(some, WindowSchedule((1.0,), (size,))),
            largest=min(images.shape.h, images.shape.w),
            owner="pspc_square",
            compute=compute,
            store=store,
            reference=reference,
        )
        return SquarePatchesDenoiser(bank, windows)


@dataclass(frozen=True, eq=False)
class SquarePatchesDenoiser:
    """Two passes over the training images: the normaliser of every patch, then the weighted values.

    Memory: a few maps of h w floats per image of a chunk, within the budget of Compute.
    """

    bank: Bank
    windows: WindowSchedule

    @property
    def shape(self) -> ImageShape:
        return self.bank.shape

    def __call__(self, x: Float[Tensor, "b d"], sigma: float) -> Float[Tensor, "b d"]:
        """Raises BadInput (size of x, sigma), NonFinite (x), TooLarge (memory budget)."""
        self.shape.check(x)
        size = self.windows.at(check_sigma(sigma))
        if size == self.shape.h == self.shape.w:
            return OptimalDenoiser(self.bank)(x, sigma)
        if size <= _FUSED and runs_compiled(self.bank, x):
            from locality.denoisers.parts import patch_sums  # Numba takes half a second to load

            memory = patch_sums.memory(len(x), self.shape.d, self.shape.h * self.shape.w)
            if all(memory <= part.memory for part in self.bank.parts):
                return patch_sums.patch_mean(self.bank, x, size, sigma)

        def normaliser(bank: Bank, x: Float[Tensor, "b d"]) -> PosteriorMean:
            rows, cols = self._bands(sigma, x)
            k = self._size(bank, x)

            def partial(queries: Float[Tensor, "b d"], x_kd: Float[Tensor, "k d"]) -> PosteriorMean:
                items = planes(x_kd, self.shape)
                each = [
                    PosteriorMean.of(_logits(query, items, rows, cols, sigma), lambda e: e.sum(dim=-1))
                    for query in queries.reshape(-1, *self.shape)
                ]
                return PosteriorMean(*map(torch.stack, zip(*each, strict=True)))

            return stream(x, bank.chunks(k, x.dtype), partial, bank.count(k), share=0.5)

        log_weight = merged(self.bank, x, normaliser).log_weight()

        def weighed(bank: Bank, x: Float[Tensor, "b d"]) -> Float[Tensor, "b c h w"]:
            rows, cols = self._bands(sigma, x)
            logs, k = log_weight.to(x.device), self._size(bank, x)

            def partial(queries: Float[Tensor, "b d"], x_kd: Float[Tensor, "k d"]) -> Float[Tensor, "b c h w"]:
                items, each = planes(x_kd, self.shape), []
                for query, log in zip(queries.reshape(-1, *self.shape), logs, strict=True):
                    weights = (_logits(query, items, rows, cols, sigma) - log[..., None]).clamp(min=NOTHING).exp()
                    each.append(weigh(box(weights, rows.T, cols.T), items))
                return torch.stack(each)

            total = x.new_zeros(())
            for done, x_kd in enumerate(bank.chunks(k, x.dtype), start=1):
                total = total + remember_little(partial, x, x_kd)
                heartbeat(0.5 + 0.5 * done / bank.count(k))
            return total

        total = torch.stack([part.to(x.device) for part in over_parts(self.bank, x, weighed)]).sum(dim=0)
        rows, cols = self._bands(sigma, x)
        cover = torch.outer(rows.sum(dim=0), cols.sum(dim=0))
        return (total / cover).reshape(len(x), -1)

    def _size(self, bank: Bank, x: Float[Tensor, "b d"]) -> int:
        """Images per chunk."""
        return bank.fit(x.dtype.itemsize * (2 * self.shape.d + 6 * self.shape.h * self.shape.w), most=CHUNK)

    def explain(self, x: Float[Tensor, " d"], pixel: Pixel, sigma: float, top: int = TOP) -> Evidence:
        """Weights averaged over the patches that cover the pixel: O(N (2P)^2), as many at a time as fit the memory."""
        rows, cols = self._bands(sigma, x.double())
        rows, cols = rows[rows[:, pixel.row] > 0], cols[cols[:, pixel.col] > 0]
        scale = -0.5 / check_sigma(sigma) ** 2
        row_in, col_in = rows.any(dim=0), cols.any(dim=0)
        window = torch.outer(row_in.float(), col_in.float()).cpu()
        inside = torch.outer(row_in, col_in).flatten().repeat(self.shape.c).nonzero().flatten()
        region = ImageShape(self.shape.c, int(row_in.sum()), int(col_in.sum()))
        rows, cols = rows[:, row_in], cols[:, col_in] * scale
        size = self.bank.fit(8 * (3 * region.d + 2 * len(rows) * len(cols)), most=1024)
        near, weights = x.double()[inside].reshape(region), x.new_zeros(len(self.bank), dtype=torch.float64)
        for some in rows.split(max(1, self.bank.memory // (24 * len(self.bank) * len(cols)))):
            parts = [
                box(squared_difference(near, planes(part, region)), some, cols).flatten(0, 1)
                for part in self.bank.columns(inside, size, torch.float64)
            ]
            weights += torch.softmax(torch.cat(parts, dim=1), dim=1).sum(dim=0)
        return evidence(self.bank, weights / (len(rows) * len(cols)), window, top)

    def _bands(self, sigma: float, x: Tensor) -> tuple[Float[Tensor, "a h"], Float[Tensor, "e w"]]:
        size = self.windows.at(sigma)
        return tuple(inner_bands(n, size, x.device).to(x) for n in (self.shape.h, self.shape.w))  # type: ignore[return-value]


def _logits(
    query: Float[Tensor, "c h w"],
    items: Float[Tensor, "c h w k"],
    rows: Float[Tensor, "a h"],
    cols: Float[Tensor, "e w"],
    sigma: float,
) -> Float[Tensor, "a e k"]:
    """Of every patch of every image."""
    return box(squared_difference(query, items), rows, cols * (-0.5 / sigma**2))
