"""Plain forms of Gaussian mixtures: covariances as matrices, a Cholesky factor of each at every noise level."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from benchmarks.plain_patches import Answer
from benchmarks.timing import Spent, spent
from locality.denoisers.gaussian_mixture import GaussianMixtureDenoiser
from locality.denoisers.parts.mixture import Mixture
from locality.denoisers.parts.patches import fold, unfold
from locality.denoisers.parts.patchwise import PatchMixtureDenoiser
from locality.linear.wiener import WienerFilter
from locality.types import Denoiser

Call = Callable[[Tensor, float], Tensor]


@dataclass(frozen=True, eq=False)
class Dense:
    """sum_k r_k [u - sigma^2 (C_k + sigma^2 I)^-1 (u - m_k)], covariances [k m m] in the type of the answers."""

    weights: Tensor
    means: Tensor
    covariances: Tensor

    @staticmethod
    def of(mixture: Mixture, dtype: torch.dtype) -> Dense:
        """Raises AssertionError where filters are corrected for their number of images."""
        assert mixture.counts is None
        count, m = mixture.means.shape
        made = torch.empty(count, m, m, dtype=dtype)
        for k in range(count):
            rest = 0.0 if mixture.rest is None else float(mixture.rest[k])
            basis = mixture.eigvecs[k].to(dtype)
            made[k] = (basis * (mixture.eigvals[k] - rest).to(dtype)) @ basis.T
            made[k].diagonal().add_(rest)
        return Dense(mixture.weights, mixture.means.to(dtype), made)

    @staticmethod
    def wiener(linear: WienerFilter, dtype: torch.dtype) -> Dense:
        """The one Gaussian whose posterior mean the Wiener filter is."""
        one = torch.ones(1, dtype=torch.float64)
        rest = None if linear.eigvecs.shape[1] == linear.shape.d else one * linear.rest
        return Dense.of(
            Mixture(one, linear.mean[None].double(), linear.eigvals[None], linear.eigvecs[None], rest), dtype
        )

    def __call__(self, u: Tensor, sigma: float) -> Tensor:
        u, logits, answers = u.to(self.means), [], []
        for weight, mean, covariance in zip(self.weights, self.means, self.covariances, strict=True):
            noisy = covariance.clone()
            noisy.diagonal().add_(sigma**2)
            factor, failed = torch.linalg.cholesky_ex(noisy)
            if failed:  # not positive definite in 24 bits
                factor = torch.linalg.cholesky(noisy.double()).to(u)
            away = (u - mean).T
            white = torch.linalg.solve_triangular(factor, away, upper=False)
            logits.append(
                weight.log() - white.square().sum(dim=0).double() / 2 - factor.diagonal().log().double().sum()
            )
            answers.append(u - sigma**2 * torch.linalg.solve_triangular(factor.T, white, upper=True).T)
        shares = torch.stack(logits).softmax(dim=0).to(u)
        return sum(share[:, None] * answer for share, answer in zip(shares, answers, strict=True))  # type: ignore[return-value]


@dataclass(frozen=True, eq=False)
class Patchwise:
    """The mixture's answer for every patch, averaged where they overlap, blended with the Wiener filter's."""

    model: PatchMixtureDenoiser
    mixture: Dense
    linear: Dense | None

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        shape, window = self.model.shape, self.model.window
        local = fold(self.mixture(unfold(x, shape, window), sigma), shape, window)
        if self.linear is None or self.model.blend is None:
            return local
        linear = self.linear(x, sigma)
        return linear + self.model.blend.weight(sigma) * (local - linear)


@lru_cache(maxsize=4)
def dense(denoiser: Denoiser, dtype: torch.dtype) -> Call:
    """The same model by dense covariances."""
    if isinstance(denoiser, WienerFilter):
        return Dense.wiener(denoiser, dtype)
    if isinstance(denoiser, GaussianMixtureDenoiser):
        assert isinstance(denoiser.mixture, Mixture)
        return Dense.of(denoiser.mixture, dtype)
    assert isinstance(denoiser, PatchMixtureDenoiser)
    linear = denoiser.blend and Dense.wiener(denoiser.blend.wiener, dtype)
    return Patchwise(denoiser, Dense.of(denoiser.mixture, dtype), linear)


@dataclass(frozen=True)
class Gaussians:
    """Whole answers of a mixture, whose training images are long averaged: a part of them is nothing."""

    single: Call
    double: Call
    x: Tensor
    images = 1

    def first(self, count: int) -> Gaussians:
        """Of the first noisy images only."""
        return replace(self, x=self.x[:count])

    def takes(self, part: int, sigma: float) -> Spent:
        """At this noise level."""
        return spent(lambda: self.single(self.x, sigma))[1]

    def answers(self, sigma: float) -> Iterator[Answer]:
        """All coordinates of the first two noisy images."""
        exact, single = self.double(self.x[:2].double(), sigma), self.single(self.x[:2], sigma)
        for number, both in enumerate(zip(exact, single, strict=True)):
            yield Answer(number, torch.arange(self.x.shape[1]), *both)


@dataclass(frozen=True)
class Together:
    """A stack: its members one after the other; the exact answer is that of the members in float64."""

    stack: Denoiser
    members: tuple[Any, ...]
    x: Tensor

    @property
    def images(self) -> int:
        return max(member.images for member in self.members)

    def first(self, count: int) -> Together:
        """Of the first noisy images only."""
        return replace(self, members=tuple(member.first(count) for member in self.members), x=self.x[:count])

    def takes(self, part: int, sigma: float) -> Spent:
        """The sum of the members."""
        each = [member.takes(part, sigma) for member in self.members]
        most, whole = max(one.bytes for one in each), all(one.whole for one in each)
        return Spent(sum(one.seconds for one in each), most, whole)

    def answers(self, sigma: float) -> Iterator[Answer]:
        """All coordinates of the first noisy image; of the plain form nothing."""
        exact = self.stack(self.x[:1].double(), sigma)[0]
        yield Answer(0, torch.arange(len(exact)), exact, torch.full_like(exact, float("nan")))
