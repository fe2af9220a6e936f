"""The worlds themselves: their formulas against enumeration, autograd and their own draws."""

from __future__ import annotations

import pytest
import torch

from tests.problems import World, circulant, worlds

WORLDS = worlds()
SIGMAS = (0.3, 1.0, 5.0)


@pytest.fixture(params=WORLDS, ids=str)
def world(request: pytest.FixtureRequest) -> World:
    return WORLDS[request.param]


def _noisy(world: World, count: int, sigma: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    x0 = world.draw(count, generator)
    return x0 + sigma * torch.randn(x0.shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("sigma", SIGMAS)
def test_jacobian_is_the_derivative(world: World, sigma: float) -> None:
    for x in _noisy(world, 3, sigma):
        derivative = torch.autograd.functional.jacobian(lambda v: world(v[None], sigma)[0], x)
        torch.testing.assert_close(world.jacobian(x, sigma), derivative, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize("name", ["two_points", "single", "lattice"])
def test_posterior_mean_is_the_softmax_over_all_points(name: str, sigma: float) -> None:
    world = WORLDS[name]
    points = world.points()  # type: ignore[attr-defined]
    for x in _noisy(world, 3, sigma):
        weights = torch.softmax(-((points - x) ** 2).sum(dim=1) / (2 * sigma**2), dim=0)
        torch.testing.assert_close(world(x[None], sigma)[0], weights @ points, rtol=1e-9, atol=1e-12)


def test_draws_have_the_moments(world: World) -> None:
    """20,000 draws: a standard error is about 0.7 % of a standard deviation; four of them allowed."""
    x0 = world.draw(20_000, torch.Generator().manual_seed(0))
    scale = world.cov().diagonal().max().sqrt().clamp(min=1e-9)
    assert (x0.mean(dim=0) - world.mean()).abs().max() <= 0.035 * scale
    assert (torch.cov(x0.T) - world.cov()).abs().max() <= 0.05 * scale**2


@pytest.mark.parametrize("sigma", SIGMAS)
def test_no_other_scale_of_the_answer_is_better(world: World, sigma: float) -> None:
    """The posterior mean has the least squared error: shrinking or stretching it about the mean only loses."""
    generator = torch.Generator().manual_seed(5)
    x0 = world.draw(4000, generator)
    x = x0 + sigma * torch.randn(x0.shape, generator=generator, dtype=torch.float64)
    answer, mean = world(x, sigma), world.mean()
    errors = [float((mean + s * (answer - mean) - x0).square().sum(dim=1).mean()) for s in (0.8, 1.0, 1.25)]
    assert errors[1] <= errors[0] + 1e-12
    assert errors[1] <= errors[2] + 1e-12


def test_circulant_multiplies_as_a_convolution() -> None:
    generator = torch.Generator().manual_seed(0)
    kernel, image = (torch.randn(4, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    kernel = kernel + torch.roll(kernel.flip(0, 1), (1, 1), (0, 1))  # even, as a covariance is
    product = torch.fft.ifft2(torch.fft.fft2(kernel) * torch.fft.fft2(image)).real
    torch.testing.assert_close(circulant(kernel) @ image.flatten(), product.flatten())
