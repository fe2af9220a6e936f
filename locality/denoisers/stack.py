"""Stacked denoisers: the least-squares combination of chosen models, learned from training images alone."""

from __future__ import annotations

import bisect
import math
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from locality.dataset import Dataset, Images
from locality.denoisers.parts.bank import AveragingSpec
from locality.denoisers.parts.spec import DENOISERS, DenoiserSpec
from locality.device import Compute
from locality.errors import BadInput
from locality.fields.jacobian import field_rows
from locality.noise import field_noise
from locality.params import param
from locality.schedule import check_sigma, log_grid
from locality.store import Store
from locality.store.artifact import Artifact
from locality.types import Denoiser, ImageShape
from locality.work import Progress, within

KIND, VERSION = "stack", 1
SIGMAS = log_grid(0.02, 40.0, 12)  # noise levels the weights are learned at, linear in ln sigma between
_RIDGE = 1e-3  # of the normal matrix's mean diagonal
_QUICK = ("optimal", "nearest", "smoothed")  # averaging models that see all training images
_BATCH = 32  # noisy images per call of a member


@DENOISERS.register("stack")
@dataclass(frozen=True)
class Stack(DenoiserSpec):
    """mu + sum_f a_f(sigma) (D_f - mu), a_f by least squares on training images held out from the members."""

    paper: ClassVar[str] = "Ours: stacked regression (Breiman 1996) of denoisers; no network is looked at"
    cost: ClassVar[str] = "the sum of its members"

    members: str = param(
        "wiener+optimal+pca_locality+patch_mixture", help="Models combined, joined by '+', with their usual options."
    )
    first: int = param(
        10_000, help="Training images that ls, pspc and locality models average at most; 0 for all (slow).", low=0
    )
    judges: int = param(96, help="Held-out training images the weights are learned from.", low=8, high=4096)

    def note(self, available: int) -> str:
        names = [name for name in self.members.split("+") if name in DENOISERS and name not in _QUICK]
        if 0 < self.first < available and any(issubclass(DENOISERS[name], AveragingSpec) for name in names):
            return f"stack: its local members average the first {self.first:,} of {available:,} training images."
        return ""

    def fit(
        self, images: Images, compute: Compute, store: Store, reference: Denoiser | None = None
    ) -> Generator[Progress, None, StackDenoiser]:
        """Weights from members fitted without the held-out images, then the members fitted on all; kept in the store.

        Raises:
            BadInput: unknown or repeated members, a member that needs a network, too few training images.
        """
        specs = self._specs(images)
        key = store_key(images.fingerprint, self)
        found = store.get(KIND, key)
        if found is None:
            found = yield from self._learn(images, compute, store)
            store.put(KIND, key, found)
        members = []
        for spec in specs:
            members.append((yield from spec.fit(images, compute, store)))
        return StackDenoiser(images.shape, tuple(members), _mean(images.train), found.arrays["weights"])

    def _specs(self, images: Images) -> list[DenoiserSpec]:
        names = self.members.split("+")
        if len(set(names)) < len(names) or "stack" in names:
            raise BadInput(f"stack:members={self.members!r}: name each model once, joined by '+', without stack.")
        specs = [DENOISERS[name]() for name in names]
        return [self._limited(spec, len(images.train)) for spec in specs]

    def _limited(self, spec: DenoiserSpec, available: int) -> DenoiserSpec:
        """The spec with fewer training images where its model is slow."""
        if not isinstance(spec, AveragingSpec) or spec.name in _QUICK or not 0 < self.first < available:
            return spec
        return replace(spec, first=min(self.first, spec.first or self.first))

    def _learn(self, images: Images, compute: Compute, store: Store) -> Generator[Progress, None, Artifact]:
        train = images.train
        if len(train) < 2 * self.judges:
            raise BadInput(
                f"stack:judges={self.judges} needs at least {2 * self.judges} training images; {images.name} has "
                f"{len(train)}. Give a smaller judges."
            )
        rest = Part(images, len(train) - self.judges)
        members = []
        for spec in self._specs(rest):
            members.append((yield from spec.fit(rest, compute, store)))
        x0 = train.x0(slice(len(train) - self.judges, len(train))).to(compute.device)
        eps = field_noise(len(x0), train.shape.d, seed=0)
        mean = _mean(rest.train)
        weights = torch.zeros(len(SIGMAS), len(members), dtype=torch.float64)
        for level, sigma in enumerate(SIGMAS):
            yield Progress(level, len(SIGMAS), f"Weights of the stack at sigma {sigma:.2g}")
            x = x0 + sigma * eps.to(x0)
            answers = []
            for i, member in enumerate(members):
                with torch.no_grad(), within(i / len(members), (i + 1) / len(members)):
                    answers.append(torch.cat([member(part, sigma) for part in x.split(_BATCH)]) - mean.to(x0))
            weights[level] = least_squares(torch.stack(answers), x0 - mean.to(x0))
        return Artifact({"weights": weights}, {"sigmas": SIGMAS})


def store_key(fingerprint: str, spec: Stack) -> dict[str, Any]:
    """What the weights depend on."""
    return {"fingerprint": fingerprint, "spec": spec.key(), "version": VERSION}


@dataclass(frozen=True)
class Part(Images):
    """The first `count` training images of another set."""

    whole: Images
    count: int

    @property
    def name(self) -> str:
        return self.whole.name

    @property
    def shape(self) -> ImageShape:
        return self.whole.shape

    @property
    def fingerprint(self) -> str:
        return self.train.fingerprint

    @property
    def train(self) -> Dataset:
        return self.whole.train.first(self.count)


@dataclass(frozen=True, eq=False)
class StackDenoiser:
    """Members at their weights; outside the levels the weights of the nearest one. Memory: that of the members."""

    shape: ImageShape
    members: tuple[Denoiser, ...]
    mean: Float[Tensor, " d"]
    weights: Float[Tensor, "s f"]

    def __call__(self, x: Float[Tensor, "b d"], sigma: float) -> Float[Tensor, "b d"]:
        """Raises BadInput (size of x, sigma), NonFinite (x), TooLarge (memory budget)."""
        self.shape.check(x)
        mean, total = self.mean.to(x), torch.zeros_like(x)
        weights = self.weights_at(check_sigma(sigma)).tolist()
        for i, (member, weight) in enumerate(zip(self.members, weights, strict=True)):
            with within(i / len(weights), (i + 1) / len(weights)):
                total = total + weight * (member(x, sigma) - mean)
        return mean + total

    def jacobian_rows(
        self, x: Float[Tensor, "b d"], outputs: Float[Tensor, "m d"], sigma: float
    ) -> Float[Tensor, "m b d"]:
        """The same combination of the members' rows. Raises as a call."""
        self.shape.check(x)
        weights = self.weights_at(check_sigma(sigma)).tolist()
        rows = [
            weight * field_rows(member, x, outputs, sigma) for member, weight in zip(self.members, weights, strict=True)
        ]
        return torch.stack(rows).sum(dim=0)

    def weights_at(self, sigma: float) -> Float[Tensor, " f"]:
        """a_f(sigma), linear in ln sigma between the levels."""
        above = min(max(bisect.bisect(SIGMAS, sigma), 1), len(SIGMAS) - 1)
        low, high = math.log(SIGMAS[above - 1]), math.log(SIGMAS[above])
        part = min(max((math.log(sigma) - low) / (high - low), 0.0), 1.0)
        return torch.lerp(self.weights[above - 1], self.weights[above], part)


def least_squares(answers: Float[Tensor, "f b d"], target: Float[Tensor, "b d"]) -> Float[Tensor, " f"]:
    """Weights a that make sum_f a_f answers_f most like the target, with a small ridge; float64."""
    flat = answers.double().flatten(1)
    normal = flat @ flat.T
    ridge = _RIDGE * normal.diagonal().mean() * torch.eye(len(flat), dtype=torch.float64, device=flat.device)
    weights: Float[Tensor, " f"] = torch.linalg.solve(normal + ridge, flat @ target.double().flatten())
    return weights.cpu()


def _mean(train: Dataset) -> Float[Tensor, " d"]:
    """Mean image, float32, summed exactly for 8-bit pixels."""
    kind = torch.int64 if train.is_8bit else torch.float64
    sums = torch.stack([chunk.sum(dim=0, dtype=kind) for chunk in train.chunks(8192)])
    mean = sums.sum(dim=0).double() / len(train)
    return (mean / 127.5 - 1.0 if train.is_8bit else mean).float()
