"""The Wiener filter as a denoiser, its eigendecomposition kept in the store."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from locality.dataset import Images
from locality.denoisers.parts.spec import DENOISERS, DenoiserSpec
from locality.device import Compute
from locality.errors import BadInput
from locality.linear.statistics import fit_filter
from locality.linear.wiener import WienerFilter
from locality.specs import param
from locality.store import Store
from locality.types import Denoiser, ImageShape
from locality.work import Progress


@DENOISERS.register("wiener")
@dataclass(frozen=True)
class Wiener(DenoiserSpec):
    """Best affine denoiser: mu + S (S + sigma^2 I)^-1 (x - mu)."""

    paper: ClassVar[str] = "Wiener 1949; Lukoianov et al. 2025 (arXiv 2509.09672)"

    cost: ClassVar[str] = "d^2 per image and step, whatever the number of training images"
    ablations: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "images": ("wiener@first=*",),
        "steps": ("wiener@steps=5", "wiener@steps=20", "wiener@steps=40"),
        "clip": ("wiener@clip=false",),
    }
    examples: ClassVar[tuple[str, ...]] = ("wiener", "wiener:kappa=true")

    rank: int = param(0, help="Keep only the first N principal components; 0 for all.", low=0)
    shrinkage: float = param(0.0, help="Shrinkage of every component's variance to their mean.", low=0.0, high=1.0)
    kappa: bool = param(False, help="Correct the filter for the number of images: kappa for sigma squared.", later=True)

    @classmethod
    def released(cls, dataset: str, shape: ImageShape) -> dict[str, str]:
        return {"Wiener": cls.name}

    def fit(
        self, images: Images, compute: Compute, store: Store, reference: Denoiser | None = None
    ) -> Generator[Progress, None, WienerFilter]:
        """See `locality.linear.statistics.fit_filter`."""
        return self._adjusted((yield from fit_filter(images, compute, store)))

    def _adjusted(self, wiener: WienerFilter) -> WienerFilter:
        """Eigenvalues as `rank` and `shrinkage` have them.

        Raises:
            BadInput: more components than there are.
        """
        known = len(wiener.eigvals)
        if self.rank > known:
            raise BadInput(
                f"wiener:rank={self.rank}: the images have {known} principal components. Give 1..{known}, or 0."
            )
        wiener = replace(wiener, finite=self.kappa)
        if not self.rank and not self.shrinkage:
            return wiener
        mean = wiener.trace / wiener.shape.d
        eigvals = torch.lerp(wiener.eigvals, torch.full_like(wiener.eigvals, mean), self.shrinkage)
        eigvals[self.rank or known :] = 0.0
        rest = 0.0 if self.rank else (1 - self.shrinkage) * wiener.rest + self.shrinkage * mean
        return replace(wiener, eigvals=eigvals, rest=rest)
