"""Worlds whose answers are known: x0_hat, its Jacobian, mean and covariance in closed form, float64.

    x = x0 + sigma * eps,   x0_hat = E[x0 | x],   J = d x0_hat / d x = Cov[x0 | x] / sigma^2

Every world is a denoiser (`world(x, sigma)`, differentiable) that can also draw its images.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from locality.types import ImageShape


class World(Protocol):
    """What tests may ask of a world. x is [b d]; `jacobian` is at one point [d] and gives [d d]."""

    @property
    def shape(self) -> ImageShape: ...
    def __call__(self, x: Tensor, sigma: float) -> Tensor: ...
    def jacobian(self, x: Tensor, sigma: float) -> Tensor: ...
    def mean(self) -> Tensor: ...
    def cov(self) -> Tensor: ...
    def draw(self, count: int, generator: torch.Generator) -> Tensor: ...


@dataclass(frozen=True, eq=False)
class Gaussian:
    """N(centre, spread): the Wiener filter is the exact posterior mean, the same everywhere."""

    shape: ImageShape
    centre: Tensor
    spread: Tensor

    @classmethod
    def random(cls, shape: ImageShape, seed: int = 0, rank: int | None = None) -> Gaussian:
        """A covariance with eigenvalues from about 0.01 to 10, or singular with `rank` < d."""
        generator = torch.Generator().manual_seed(seed)
        mix = torch.randn(shape.d, rank or shape.d, generator=generator, dtype=torch.float64)
        centre = torch.randn(shape.d, generator=generator, dtype=torch.float64)
        return cls(shape, centre, mix @ mix.T / shape.d)

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        return self.centre.to(x) + (x - self.centre.to(x)) @ self._filter(sigma).to(x).T

    def jacobian(self, x: Tensor, sigma: float) -> Tensor:
        return self._filter(sigma)

    def mean(self) -> Tensor:
        return self.centre

    def cov(self) -> Tensor:
        return self.spread

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        values, vectors = torch.linalg.eigh(self.spread)
        white = torch.randn(count, self.shape.d, generator=generator, dtype=torch.float64)
        return self.centre + (white * values.clamp(min=0).sqrt()) @ vectors.T

    def _filter(self, sigma: float) -> Tensor:
        noisy = self.spread + sigma**2 * torch.eye(self.shape.d, dtype=torch.float64)
        return torch.linalg.solve(noisy, self.spread).T  # S (S + sigma^2 I)^-1, both symmetric


@dataclass(frozen=True, eq=False)
class TwoPoints:
    """+a or -a, evenly: x0_hat = a tanh(a.x / sigma^2)."""

    shape: ImageShape
    point: Tensor

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        point = self.point.to(x)
        return torch.tanh(x @ point / sigma**2)[:, None] * point

    def jacobian(self, x: Tensor, sigma: float) -> Tensor:
        slope = 1 - torch.tanh(x.double() @ self.point / sigma**2) ** 2
        return slope * torch.outer(self.point, self.point) / sigma**2

    def mean(self) -> Tensor:
        return torch.zeros_like(self.point)

    def cov(self) -> Tensor:
        return torch.outer(self.point, self.point)

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        signs = torch.randint(2, (count, 1), generator=generator).double() * 2 - 1
        return signs * self.point

    def points(self) -> Tensor:
        return torch.stack([self.point, -self.point])


@dataclass(frozen=True, eq=False)
class Single:
    """One image: the answer is that image, whatever is seen."""

    shape: ImageShape
    point: Tensor

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        return self.point.to(x).expand(len(x), -1).clone()

    def jacobian(self, x: Tensor, sigma: float) -> Tensor:
        return torch.zeros(self.shape.d, self.shape.d, dtype=torch.float64)

    def mean(self) -> Tensor:
        return self.point

    def cov(self) -> Tensor:
        return torch.zeros(self.shape.d, self.shape.d, dtype=torch.float64)

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        return self.point.expand(count, -1).clone()

    def points(self) -> Tensor:
        return self.point[None]


@dataclass(frozen=True, eq=False)
class Lattice:
    """The 2^d corners of a cube, evenly: every coordinate is +step or -step on its own."""

    shape: ImageShape
    step: float

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        return self.step * torch.tanh(self.step * x / sigma**2)

    def jacobian(self, x: Tensor, sigma: float) -> Tensor:
        slope = 1 - torch.tanh(self.step * x.double() / sigma**2) ** 2
        return torch.diag(slope * self.step**2 / sigma**2)

    def mean(self) -> Tensor:
        return torch.zeros(self.shape.d, dtype=torch.float64)

    def cov(self) -> Tensor:
        return self.step**2 * torch.eye(self.shape.d, dtype=torch.float64)

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        return self.step * (torch.randint(2, (count, self.shape.d), generator=generator).double() * 2 - 1)

    def points(self) -> Tensor:
        corners = list(itertools.product((-self.step, self.step), repeat=self.shape.d))
        return torch.tensor(corners, dtype=torch.float64)


@dataclass(frozen=True, eq=False)
class Stationary(Gaussian):
    """A Gaussian on the torus with a power spectrum [h w]: its filter is one kernel, moved around."""

    power: Tensor

    @classmethod
    def law(cls, size: int, amplitude: float = 2.0, exponent: float = 2.0) -> Stationary:
        """Spectrum amplitude / |k|^exponent, zero at k = 0."""
        k = torch.fft.fftfreq(size, dtype=torch.float64) * size
        radius = (k[:, None] ** 2 + k[None, :] ** 2).sqrt()
        power = torch.where(radius > 0, amplitude * radius.clamp(min=0.5) ** -exponent, 0.0)
        shape = ImageShape(1, size, size)
        cov = circulant(torch.fft.ifft2(power).real)
        return cls(shape, torch.zeros(shape.d, dtype=torch.float64), cov, power)

    def kernel(self, sigma: float) -> Tensor:
        """F^-1[P / (P + sigma^2)], its centre at [0, 0]."""
        return torch.fft.ifft2(self.power / (self.power + sigma**2)).real


@dataclass(frozen=True, eq=False)
class Shifted:
    """Another world with `by` added to every image."""

    world: World
    by: Tensor

    @property
    def shape(self) -> ImageShape:
        return self.world.shape

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        return self.world(x - self.by.to(x), sigma) + self.by.to(x)

    def jacobian(self, x: Tensor, sigma: float) -> Tensor:
        return self.world.jacobian(x - self.by, sigma)

    def mean(self) -> Tensor:
        return self.world.mean() + self.by

    def cov(self) -> Tensor:
        return self.world.cov()

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        return self.world.draw(count, generator) + self.by


@dataclass(frozen=True, eq=False)
class Scaled:
    """Another world with every image times `factor`."""

    world: World
    factor: float

    @property
    def shape(self) -> ImageShape:
        return self.world.shape

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        return self.factor * self.world(x / self.factor, sigma / abs(self.factor))

    def jacobian(self, x: Tensor, sigma: float) -> Tensor:
        return self.world.jacobian(x / self.factor, sigma / abs(self.factor))

    def mean(self) -> Tensor:
        return self.factor * self.world.mean()

    def cov(self) -> Tensor:
        return self.factor**2 * self.world.cov()

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        return self.factor * self.world.draw(count, generator)


def circulant(kernel: Tensor) -> Tensor:
    """The matrix [hw hw] whose row (i, j) is the kernel [h w] moved to (i, j) on the torus."""
    h, w = kernel.shape
    rows = [torch.roll(kernel, (i, j), dims=(0, 1)).flatten() for i in range(h) for j in range(w)]
    return torch.stack(rows)


def worlds() -> dict[str, World]:
    """One small world of each kind, and worlds made of worlds."""
    shape = ImageShape(2, 2, 3)
    generator = torch.Generator().manual_seed(7)
    a, by = (torch.randn(shape.d, generator=generator, dtype=torch.float64) for _ in range(2))
    tilted, pair = Gaussian.random(shape), TwoPoints(shape, a)
    return {
        "gaussian": tilted,
        "flat_gaussian": Gaussian.random(shape, seed=1, rank=3),
        "two_points": pair,
        "single": Single(shape, a),
        "lattice": Lattice(ImageShape(1, 2, 3), 0.8),
        "stationary": Stationary.law(4),
        "shifted": Shifted(pair, by),
        "scaled": Scaled(tilted, -1.7),
    }


class Curved:
    """No world: a denoiser with a Jacobian that is not symmetric, x + tanh(A x / sigma) B."""

    def __init__(self, shape: ImageShape, size: float = 0.25) -> None:
        self.shape = shape
        generator = torch.Generator().manual_seed(2)
        self.a, self.b = (size * torch.randn(shape.d, shape.d, generator=generator) for _ in range(2))

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        return x + torch.tanh(x @ self.a.to(x).T / sigma) @ self.b.to(x)
