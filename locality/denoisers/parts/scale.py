"""One scale of patches: a mixture for each part of the image, and the images that its answers make up."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from locality.denoisers.parts.patches import fold, regions, unfold
from locality.denoisers.parts.patchwise import ARRAYS, BLOCK
from locality.denoisers.parts.rows import in_parts
from locality.denoisers.parts.subspace import SubspaceMixture
from locality.device import sent
from locality.types import ImageShape


@dataclass(frozen=True, eq=False)
class Scale:
    """The posterior mean of every P x P patch under the mixture of its region, averaged where patches overlap.

    `mixtures` by region, row by row, of a `grid` x `grid` division of the places; `precise`: answers are weighted by
    one over their posterior variance. `memory` bounds the working arrays of a call, in bytes.
    """

    shape: ImageShape
    window: int
    grid: int
    precise: bool
    mixtures: tuple[SubspaceMixture, ...]
    memory: int

    def on(self, device: torch.device) -> Scale:
        """The same on a device."""
        return replace(self, mixtures=tuple(mixture.on(device) for mixture in self.mixtures))

    def __call__(self, x: Float[Tensor, "b d"], sigma: float) -> Float[Tensor, "b d"]:
        """Estimates of the images; differentiable in x."""
        where = regions(self.shape, self.window, self.grid)
        order = where.argsort(stable=True)
        order, back = (sent(numbers, x.device) for numbers in (order, order.argsort()))
        sizes = torch.bincount(where).tolist()
        per_patch = self.mixtures[0].basis.shape[0] * x.element_size() * ARRAYS
        rows = min(BLOCK, max(1, self.memory // per_patch))

        def answer(part: Float[Tensor, "k d"]) -> Float[Tensor, "k d"]:
            patches = unfold(part, self.shape, self.window).unflatten(0, (len(part), len(where)))
            means, trusts = [], []
            for mixture, region in zip(self.mixtures, patches[:, order].split(sizes, dim=1), strict=True):
                for block in region.flatten(0, 1).split(rows):
                    found = mixture.posterior(block, sigma, variance=self.precise)
                    means.append(found.mean)
                    if found.variance is not None:
                        trusts.append(1.0 / found.variance)
            mean = self._ordered(means, len(part), sizes, back)
            trust = self._ordered(trusts, len(part), sizes, back) if trusts else None
            return fold(mean, self.shape, self.window, trust)

        return in_parts(x, rows // len(where), answer)

    def _ordered(self, found: list[Tensor], images: int, sizes: list[int], back: Tensor) -> Float[Tensor, "n m"]:
        """Answers region by region, image by image, as `unfold` has the patches."""
        parts = torch.cat(found).split([images * size for size in sizes])
        joined = torch.cat([part.unflatten(0, (images, size)) for part, size in zip(parts, sizes, strict=True)], dim=1)
        return joined[:, back].flatten(0, 1)
