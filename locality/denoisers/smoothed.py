"""The smoothed closed-form denoiser: the optimal one averaged over a few shifted inputs."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from locality.dataset import Images
from locality.denoisers.optimal import OptimalDenoiser
from locality.denoisers.parts.averaging import Averaging
from locality.denoisers.parts.bank import AveragingSpec
from locality.denoisers.parts.evidence import TOP, Evidence, evidence, masked_logits, softmax_weights
from locality.denoisers.parts.spec import DENOISERS
from locality.device import Compute, sent
from locality.schedule import check_sigma
from locality.specs import param
from locality.store import Store
from locality.types import Denoiser, ImageShape, Pixel
from locality.work import Progress


@DENOISERS.register("smoothed")
@dataclass(frozen=True)
class Smoothed(AveragingSpec):
    """Mean of the optimal denoiser over M inputs perturbed by (s / tau) e_m, tau = 1 / (1 + sigma)."""

    paper: ClassVar[str] = "Scarvelis, Borde, Solomon 2025 (arXiv 2310.12395)"
    cost: ClassVar[str] = "M N d per image and step, as one matrix product"
    examples: ClassVar[tuple[str, ...]] = ("smoothed:points=3", "smoothed:points=3,noise=redrawn")
    quick: ClassVar[bool] = True

    points: int = param(10, help="M: number of perturbed inputs.", low=1, high=256)
    smoothing: float = param(0.1, help="s: size of the perturbations, in units of x0.", low=0.0, high=10.0)
    noise: str = param(
        "fixed",
        help="fixed: e_m drawn once and scaled by 1 + sigma (the paper). redrawn: new e_m at every noise level, "
        "added to sqrt(alpha_bar) x (a later port).",
        choices=("fixed", "redrawn"),
    )
    seed: int = param(0, help="Seed of the perturbations.", low=0, high=2**31 - 1)

    @property
    def tolerance(self) -> Mapping[str, float]:
        return {"clean_images_stay": 2e-6}  # whole images are compared: every other one is thousands of sigma^2 away

    def fit(
        self, images: Images, compute: Compute, store: Store, reference: Denoiser | None = None
    ) -> Generator[Progress, None, SmoothedDenoiser]:
        """Nothing to compute: the training images and the seed are the model."""
        yield Progress(0.0, 1.0, "Training images")
        return SmoothedDenoiser(OptimalDenoiser(self.bank(images, compute)), self)


@dataclass(frozen=True, eq=False)
class SmoothedDenoiser:
    """A function of x: the perturbations depend on the seed alone (and on sigma where they are redrawn)."""

    inner: Averaging
    spec: Smoothed

    @property
    def shape(self) -> ImageShape:
        return self.inner.shape

    def __call__(self, x: Float[Tensor, "b d"], sigma: float) -> Float[Tensor, "b d"]:
        """Raises BadInput (size of x, sigma), NonFinite (x), TooLarge (memory budget)."""
        self.shape.check(x)
        moved = (x[:, None] + sent(self._moves(sigma), x.device).to(x)).flatten(0, 1)
        return self.inner(moved, sigma).reshape(len(x), -1, self.shape.d).mean(dim=1)

    def with_parts(self, change: Callable[[Denoiser], Denoiser]) -> Denoiser:
        inner = change(self.inner)
        assert isinstance(inner, Averaging)
        return replace(self, inner=inner)

    def explain(self, x: Float[Tensor, " d"], pixel: Pixel, sigma: float, top: int = TOP) -> Evidence:
        """Weights averaged over the moved inputs: the same for all pixels."""
        everywhere = torch.arange(self.shape.d, device=x.device)
        scale = 0.5 / check_sigma(sigma) ** 2
        moved = x + self._moves(sigma).to(x)
        each = [softmax_weights(masked_logits(self.inner.bank, point, everywhere, scale)) for point in moved]
        weights = torch.stack(each).mean(dim=0)
        return evidence(self.inner.bank, weights, torch.ones(self.shape.h, self.shape.w), top)

    def _moves(self, sigma: float) -> Float[Tensor, "m d"]:
        fixed, sigma = self.spec.noise == "fixed", check_sigma(sigma)
        level = 0 if fixed else round(1e6 * sigma)
        generator = torch.Generator().manual_seed((self.spec.seed * 1_000_003 + level) % 2**63)
        moves = torch.randn(self.spec.points, self.shape.d, generator=generator)
        return moves * self.spec.smoothing * (1.0 + sigma if fixed else (1.0 + sigma**2) ** 0.5)
