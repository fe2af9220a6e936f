"""The optimal denoiser of the training set itself: the exact posterior mean, which copies training images."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from locality.dataset import Images
from locality.denoisers.parts.averaging import AverageOfBank
from locality.denoisers.parts.bank import AveragingSpec, Bank, precise
from locality.denoisers.parts.compiled import runs_compiled
from locality.denoisers.parts.covariance import posterior_rows
from locality.denoisers.parts.evidence import TOP, Evidence, evidence, masked_logits, softmax_weights
from locality.denoisers.parts.shards import merged, over_parts
from locality.denoisers.parts.spec import DENOISERS
from locality.device import Compute
from locality.posterior import PosteriorMean, stream
from locality.schedule import check_sigma
from locality.specs import param
from locality.store import Store
from locality.types import Denoiser, ImageShape, Pixel
from locality.work import Progress


@DENOISERS.register("optimal")
@dataclass(frozen=True)
class Optimal(AveragingSpec):
    """Posterior mean over the training images: sum_i softmax_i(-||x - x_i||^2 / (2 sigma^2 T)) x_i."""

    paper: ClassVar[str] = "Empirical Bayes; Karras et al. 2022 (arXiv 2206.00364), appendix B.3"
    cost: ClassVar[str] = "N d per image and step, as one matrix product"
    ablations: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "temperature": ("optimal:temperature=0.5", "optimal:temperature=2.0", "optimal:temperature=4.0"),
        "images": ("optimal@first=*",),
    }
    examples: ClassVar[tuple[str, ...]] = (
        "optimal",
        "optimal:temperature=2",
        "optimal:neighbours=5",
        "optimal:classes=0-3,flips=true",
        "optimal:first=12",
    )
    quick: ClassVar[bool] = True

    temperature: float = param(1.0, help="T: above 1 averages more images, below 1 fewer.", low=0.01, high=1000.0)
    neighbours: int = param(0, help="Average only the N nearest images; 0 for all (exact).", low=0)

    @property
    def exempt(self) -> Mapping[str, str]:
        far = {"noise_drowns_everything": "the mean of the nearest images"} if self.neighbours else {}
        return {**super().exempt, **far}

    @property
    def tolerance(self) -> Mapping[str, float]:
        return {"clean_images_stay": 2e-6}  # whole images are compared: every other one is thousands of sigma^2 away

    def approximations(self, available: int) -> list[str]:
        nearest = f"averages the {self.neighbours:,} nearest images only"
        return super().approximations(available) + ([nearest] if self.neighbours else [])

    @classmethod
    def released(cls, dataset: str, shape: ImageShape) -> dict[str, str]:
        return {"Optimal": cls.name}

    def fit(
        self, images: Images, compute: Compute, store: Store, reference: Denoiser | None = None
    ) -> Generator[Progress, None, OptimalDenoiser]:
        """Nothing to compute: the training images are the model."""
        yield Progress(0.0, 1.0, "Training images")
        return OptimalDenoiser(self.bank(images, compute), self.temperature, self.neighbours)


@dataclass(frozen=True, eq=False)
class OptimalDenoiser(AverageOfBank):
    """Streams the training images once a call. Memory: the budget of Compute, plus n b floats with `neighbours`."""

    temperature: float = 1.0
    neighbours: int = 0

    @property
    def merges(self) -> bool:
        return not 0 < self.neighbours < len(self.bank)

    def posterior(self, x: Float[Tensor, "b d"], sigma: float) -> PosteriorMean:
        """The average before it is divided, one weight a noisy image [b 1]. Raises as a call."""
        self.shape.check(x)
        scale = 1.0 / (check_sigma(sigma) ** 2 * self.temperature)
        if runs_compiled(self.bank, x) and not 0 < self.neighbours < len(self.bank):
            from locality.denoisers.parts import whole  # Numba takes half a second to load

            if all(whole.usable_threads(len(x), self.shape.d, part.memory) for part in self.bank.parts):
                return merged(self.bank, x, lambda part, q: whole.whole_posterior(part, q, scale**-0.5))
        dtype = precise(x.dtype, self.shape.d, sigma * self.temperature**0.5)
        queries = x.to(dtype)
        least = self._least_kept(queries.detach(), scale)

        def average(bank: Bank, x: Float[Tensor, "b d"]) -> PosteriorMean:
            limit = None if least is None else least.to(x.device)[:, None]

            def partial(q: Float[Tensor, "b d"], x_kd: Float[Tensor, "k d"]) -> PosteriorMean:
                logits = _logits(q, x_kd, scale)
                if limit is not None:
                    logits = logits.masked_fill(logits < limit, -torch.inf)
                return PosteriorMean.of(logits, lambda weights: (weights @ x_kd).T)

            size = _size(bank, len(x), dtype)
            return stream(x, bank.chunks(size, dtype), partial, bank.count(size))

        peak, weight, total = merged(self.bank, queries, average)
        return PosteriorMean(peak[:, None], weight[:, None], total.T)

    def jacobian_rows(
        self, x: Float[Tensor, "b d"], outputs: Float[Tensor, "m d"], sigma: float
    ) -> Float[Tensor, "m b d"]:
        """outputs @ Cov_w[x0] / (sigma^2 T) of every image. Raises as a call."""
        self.shape.check(x)
        scale = 1.0 / (check_sigma(sigma) ** 2 * self.temperature)
        every = torch.arange(self.shape.d)
        return posterior_rows(self.bank, x, outputs, scale, [(every, every)], neighbours=self.neighbours)

    def explain(self, x: Float[Tensor, " d"], pixel: Pixel, sigma: float, top: int = TOP) -> Evidence:
        """The images averaged at this pixel: the same for all pixels."""
        scale = 0.5 / (check_sigma(sigma) ** 2 * self.temperature)
        logits = masked_logits(self.bank, x, torch.arange(self.shape.d, device=x.device), scale)
        if 0 < self.neighbours < len(logits):
            logits[logits < logits.topk(self.neighbours).values[-1]] = -torch.inf
        return evidence(self.bank, softmax_weights(logits), torch.ones(self.shape.h, self.shape.w), top)

    def _least_kept(self, x: Float[Tensor, "b d"], scale: float) -> Float[Tensor, " b"] | None:
        """The logit of the last neighbour that counts, found in a pass of its own; None where all do."""
        if not 0 < self.neighbours < len(self.bank):
            return None

        def nearest(bank: Bank, x: Float[Tensor, "b d"]) -> Float[Tensor, "b k"]:
            best = x.new_empty(len(x), 0)
            for x_kd in bank.chunks(_size(bank, len(x), x.dtype), x.dtype):
                best = torch.cat([best, _logits(x, x_kd, scale)], dim=1)
                best = best.topk(min(self.neighbours, best.shape[1]), dim=1).values
            return best

        with torch.no_grad():
            best = torch.cat([found.to(x.device) for found in over_parts(self.bank, x, nearest)], dim=1)
            return best.topk(self.neighbours, dim=1).values[:, -1]


def _size(bank: Bank, b: int, dtype: torch.dtype) -> int:
    """Images of a chunk: beside it there are the one before, and its squares."""
    return bank.fit(dtype.itemsize * (3 * bank.shape.d + 4 * b), most=4096)


def _logits(x: Float[Tensor, "b d"], x_kd: Float[Tensor, "k d"], scale: float) -> Float[Tensor, "b k"]:
    """(x.x_i - |x_i|^2 / 2) * scale: the squared distance up to what all items share."""
    return (x @ x_kd.T - 0.5 * x_kd.square().sum(dim=1)) * scale
