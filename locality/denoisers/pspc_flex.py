"""Flexible patches: each pixel compares the smallest set of pixels that holds a fraction of its field."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from locality.dataset import Images
from locality.denoisers.parts.averaging import AverageOfBank
from locality.denoisers.parts.covariance import pixels_read, posterior_rows
from locality.denoisers.parts.evidence import TOP, Evidence
from locality.denoisers.parts.fields import FieldMatrix, FieldSpec
from locality.denoisers.parts.masked import explain_masked
from locality.denoisers.parts.spec import DENOISERS
from locality.denoisers.parts.walk import posterior, ready
from locality.denoisers.parts.walk_plan import Masks, last_masks
from locality.device import Compute
from locality.linear.wiener import coordinates
from locality.posterior import PosteriorMean
from locality.schedule import check_sigma, edm_grid, nearest_level
from locality.specs import param
from locality.store import Store
from locality.types import Denoiser, Pixel
from locality.work import Progress

# Niedoba et al. 2025 (arXiv 2411.19339): 18 steps of the EDM grid, most noise first.
_PUBLISHED = (1.0,) * 7 + (0.7, 0.7, 0.5) + (0.4,) * 4 + (0.3,) * 4
_SIGMAS = edm_grid(18)


@DENOISERS.register("pspc_flex")
@dataclass(frozen=True)
class FlexiblePatches(FieldSpec):
    """Posterior mean of each pixel given the pixels that hold a fraction of its field's absolute mass."""

    paper: ClassVar[str] = "Niedoba, Zwartsenberg, Murphy, Wood 2025 (arXiv 2411.19339)"
    cost: ClassVar[str] = "N h w times the width of the field per image and step"
    examples: ClassVar[tuple[str, ...]] = ("pspc_flex", "pspc_flex:fraction=0.4,flips=false")

    flips: bool = param(True, help="Add every training image mirrored left to right.")
    fraction: float = param(
        0.0, help="Share of the field's mass a patch holds; 0: the published list by noise level.", low=0.0, high=1.0
    )

    def fit(
        self, images: Images, compute: Compute, store: Store, reference: Denoiser | None = None
    ) -> Generator[Progress, None, FlexiblePatchesDenoiser]:
        """The field; the training images are the rest of the model."""
        bank = self.bank(images, compute)
        field = yield from self.field_of(images, "absolute", compute, store, reference)
        yield from ready(images.shape.c)
        return FlexiblePatchesDenoiser(bank, field, self.fraction)


@dataclass(frozen=True, eq=False)
class FlexiblePatchesDenoiser(AverageOfBank):
    """One mask per pixel, shared by its channels; the last noise level's is kept. Memory: as pca_locality."""

    field: FieldMatrix
    fraction: float
    plans: dict[float, Masks] = dataclasses.field(default_factory=dict)

    def posterior(self, x: Float[Tensor, "b d"], sigma: float) -> PosteriorMean:
        """The average before it is divided [b d]. Raises as a call."""
        self.shape.check(x)
        return posterior(self.bank, self.plan(check_sigma(sigma)), x, sigma)

    def jacobian_rows(
        self, x: Float[Tensor, "b d"], outputs: Float[Tensor, "m d"], sigma: float
    ) -> Float[Tensor, "m b d"]:
        """outputs @ J of every image, from the patches of the pixels that the outputs read. Raises as a call."""
        self.shape.check(x)
        sigma = check_sigma(sigma)
        pixels = pixels_read(outputs, self.shape)
        groups = ((coordinates(self.shape, one), self.pixel_mask(one, sigma).nonzero().flatten()) for one in pixels)
        return posterior_rows(self.bank, x, outputs, 1.0 / sigma**2, groups)

    def explain(self, x: Float[Tensor, " d"], pixel: Pixel, sigma: float, top: int = TOP) -> Evidence:
        """The images averaged at this pixel, by its patch: O(N support)."""
        mask = self.pixel_mask(pixel, check_sigma(sigma))
        return explain_masked(self.bank, x, mask[None], self.shape, 0.5 / sigma**2, top)

    def pixel_mask(self, pixel: Pixel, sigma: float) -> Bool[Tensor, " d"]:
        """What a pixel compares."""
        rows = self.field.rows(coordinates(self.shape, pixel), sigma).abs()
        place = torch.tensor([pixel.row * self.shape.w + pixel.col])
        return self._sets(rows.reshape(1, self.shape.c, -1), sigma, place)[0]

    def mask(self, sigma: float) -> Bool[Tensor, "hw d"]:
        """Row p: the coordinates that pixel p compares, all channels of each pixel in its patch."""
        c, h, w = self.shape
        rows = self.field.matrix(sigma).abs().reshape(c, h * w, -1).transpose(0, 1)
        return self._sets(rows, sigma, torch.arange(h * w))

    def _sets(self, rows: Float[Tensor, "p c d"], sigma: float, pixels: Int[Tensor, " p"]) -> Bool[Tensor, "p d"]:
        """Masks of some pixels from the sizes of their rows, one row a channel."""
        c, h, w = self.shape
        share = self.fraction or _PUBLISHED[nearest_level(_SIGMAS, sigma)]
        heat = rows.reshape(len(rows), c, c, h * w).sum(dim=(1, 2))
        sets = smallest_sets(heat, share)
        own = pixels[:, None].to(sets.device)
        return sets.scatter(1, own, torch.ones_like(own, dtype=torch.bool)).repeat(1, c)

    def plan(self, sigma: float) -> Masks:
        """The masks of a noise level, and the way through them."""
        hw = self.shape.h * self.shape.w
        outputs = torch.arange(hw)[:, None] + torch.arange(self.shape.c) * hw
        return last_masks(self.plans, sigma, lambda: Masks(self.mask(sigma).cpu(), outputs, self.shape))


def smallest_sets(heat: Float[Tensor, "p q"], share: float) -> Bool[Tensor, "p q"]:
    """For every row, the fewest entries whose sum is at least `share` of the row's."""
    sizes, order = heat.double().sort(dim=1, descending=True, stable=True)
    before = sizes.cumsum(dim=1) - sizes  # mass of the larger ones
    kept = before < share * sizes.sum(dim=1, keepdim=True) * (1 - 1e-9)
    if share >= 1.0:
        kept = torch.ones_like(kept)
    return torch.zeros_like(kept).scatter_(1, order, kept)
