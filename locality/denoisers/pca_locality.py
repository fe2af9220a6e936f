"""Locality from data statistics: each coordinate compares only the pixels the Wiener filter listens to."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from locality.dataset import Images
from locality.denoisers.parts.averaging import AverageOfBank
from locality.denoisers.parts.covariance import posterior_rows
from locality.denoisers.parts.evidence import TOP, Evidence
from locality.denoisers.parts.fields import FieldMatrix
from locality.denoisers.parts.masked import explain_masked
from locality.denoisers.parts.spec import DENOISERS
from locality.denoisers.parts.threshold import exact_of, exact_rows, row_mask, threshold_mask
from locality.denoisers.parts.threshold_spec import ThresholdSpec
from locality.denoisers.parts.walk import posterior, ready
from locality.denoisers.parts.walk_plan import Masks, last_masks
from locality.device import Compute
from locality.linear.wiener import coordinates
from locality.posterior import PosteriorMean
from locality.schedule import check_sigma
from locality.specs import param
from locality.store import Store
from locality.types import Denoiser, ImageShape, Pixel
from locality.work import Progress


@DENOISERS.register("pca_locality")
@dataclass(frozen=True)
class PcaLocality(ThresholdSpec):
    """Posterior mean of each coordinate given the coordinates its Wiener row weighs most."""

    heading: ClassVar[str] = "PCA locality"
    paper: ClassVar[str] = "Lukoianov, Yuan, Solomon, Sitzmann 2025 (arXiv 2509.09672)"
    cost: ClassVar[str] = "N d times the width of the field per image and step, at most N d^2"
    ablations: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "softmax": tuple(f"pca_locality:softmax=batch,batch_size={size}" for size in (128, 512, 2048, 8192)),
        "mask_rule": ("pca_locality:mask_rule=code",),
        "tau": tuple(f"pca_locality:tau={tau}" for tau in (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)),
        "temperature": tuple(f"pca_locality:temperature={temperature}" for temperature in (0.5, 2.0, 4.0)),
        "flips": ("pca_locality:flips=true",),
        "images": ("pca_locality@first=*",),
        "steps": ("pca_locality@steps=5", "pca_locality@steps=20", "pca_locality@steps=40"),
        "clip": ("pca_locality@clip=false",),
    }
    examples: ClassVar[tuple[str, ...]] = (
        "pca_locality",
        "pca_locality:tau=0.3,mask_rule=code,flips=true",
        "pca_locality:temperature=0.5,tau=0.2",
        "pca_locality:softmax=batch,batch_size=7",
    )

    softmax: str = param(
        "exact",
        help="exact: over all images. batch: normalised in batches whose answers are averaged (the released code).",
        choices=("exact", "batch"),
    )
    batch_size: int = param(512, help="Images per batch of softmax=batch; 512 in the released code.", low=1)

    @property
    def exempt(self) -> Mapping[str, str]:
        if self.softmax == "exact":
            return super().exempt
        return {
            **super().exempt,
            "order_changes_nothing": "batches follow the order",
            "noise_drowns_everything": "the last batch is smaller and counts as much as the others",
            "heartbeats_follow_the_chunks": "its chunks are its batches",
            "clean_images_stay": "batches without the image answer too",
            "evidence_makes_the_answer": "evidence is normalised over all images",
            "evidence_shows_the_window": "evidence is normalised over all images",
        }

    def approximations(self, available: int) -> list[str]:
        batches = f"normalised in batches of {self.batch_size:,}: depends on the order"
        return super().approximations(available) + ([batches] if self.softmax == "batch" else [])

    @classmethod
    def released(cls, dataset: str, shape: ImageShape) -> dict[str, str]:
        """The code's mask and its softmax in loader batches: of 512 images, of 256 at 64 pixels."""
        batch = ",batch_size=256" if shape.h >= 64 else ""
        return {"PCA locality": f"{cls.name}:mask_rule=code,softmax=batch{batch}"}

    def fit(
        self, images: Images, compute: Compute, store: Store, reference: Denoiser | None = None
    ) -> Generator[Progress, None, PcaLocalityDenoiser]:
        """The field; the training images are the rest of the model."""
        tau = self.threshold(images.name)
        bank = self.bank(images, compute)
        field = yield from self.field_of(images, "mean", compute, store, reference)
        yield from ready(1)
        batch = self.batch_size if self.softmax == "batch" else 0
        return PcaLocalityDenoiser(bank, field, tau, self.mask_rule, self.temperature, batch)


@dataclass(frozen=True, eq=False)
class PcaLocalityDenoiser(AverageOfBank):
    """Masks are made once per noise level; the last one is kept. Memory: at most 13 d^2 bytes beside the budget."""

    field: FieldMatrix
    tau: float
    rule: str
    temperature: float
    batch: int
    plans: dict[float, Masks] = dataclasses.field(default_factory=dict)

    @property
    def merges(self) -> bool:
        return not self.batch

    def posterior(self, x: Float[Tensor, "b d"], sigma: float) -> PosteriorMean:
        """The average before it is divided [b d]; with softmax=batch it has no weight. Raises as a call."""
        self.shape.check(x)
        plan = self.plan(check_sigma(sigma))
        return posterior(self.bank, plan, x, sigma, self.temperature, batch=self.batch)

    def jacobian_rows(
        self, x: Float[Tensor, "b d"], outputs: Float[Tensor, "m d"], sigma: float
    ) -> Float[Tensor, "m b d"] | None:
        """outputs @ J of every image, from the masks of the coordinates that the outputs read. Raises as a call.

        None with softmax=batch, which averages answers of batches.
        """
        self.shape.check(x)
        sigma = check_sigma(sigma)
        if self.batch:
            return None
        coords = outputs.any(dim=0).nonzero().flatten()
        masks = self._masks(coords, sigma)
        groups = ((coords[i : i + 1], mask.nonzero().flatten()) for i, mask in enumerate(masks))
        return posterior_rows(self.bank, x, outputs, 1.0 / (sigma**2 * self.temperature), groups)

    def explain(self, x: Float[Tensor, " d"], pixel: Pixel, sigma: float, top: int = TOP) -> Evidence:
        """Weights averaged over the pixel's channels, normalised over all images: O(N support)."""
        masks = self.pixel_masks(pixel, check_sigma(sigma))
        return explain_masked(self.bank, x, masks, self.shape, 0.5 / (sigma**2 * self.temperature), top)

    def pixel_masks(self, pixel: Pixel, sigma: float) -> Bool[Tensor, "c d"]:
        """What each channel of a pixel compares."""
        return self._masks(coordinates(self.shape, pixel), sigma)

    def _masks(self, coords: Int[Tensor, " q"], sigma: float) -> Bool[Tensor, "q d"]:
        """What some coordinates compare."""
        if self.rule == "row":
            return row_mask(exact_rows(self.field, coords, sigma), coords, self.tau)
        return self.mask(sigma)[coords]

    def mask(self, sigma: float) -> Bool[Tensor, "d d"]:
        """Row q: the coordinates that coordinate q compares."""
        return threshold_mask(self.field.matrix(sigma), self.tau, self.rule, exact_of(self.field, sigma))

    def plan(self, sigma: float) -> Masks:
        """The masks of a noise level, and the way through them."""
        outputs = torch.arange(self.shape.d)[:, None]
        return last_masks(self.plans, sigma, lambda: Masks(self.mask(sigma).cpu(), outputs, self.shape))
