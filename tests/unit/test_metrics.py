"""Held-out errors: against hand counts, the Wiener filter's own formula, and any batch size."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from locality.linear.moments import ValueMoments
from locality.linear.wiener import WienerFilter
from locality.metrics import denoising_errors, error_ratio
from locality.types import ImageShape
from tests.problems import Gaussian, Single

SHAPE = ImageShape(1, 3, 4)


@dataclass(frozen=True)
class Keep:
    """Answers `share` of what it sees."""

    share: float
    shape: ImageShape = SHAPE

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        return self.share * x


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_doing_nothing_leaves_the_noise() -> None:
    """||x - x0||^2 = sigma^2 ||eps||^2, d sigma^2 on average: exact for the very noise that was drawn."""
    x0 = torch.zeros(50, SHAPE.d)
    errors = denoising_errors(Keep(1.0), x0, 0.5)
    generator = seeded()
    eps = torch.stack([torch.randn(SHAPE.d, generator=generator) for _ in range(50)])
    assert errors.dtype == torch.float64
    torch.testing.assert_close(errors, 0.25 * eps.double().square().sum(dim=1), rtol=1e-6, atol=0)


def test_a_fixed_answer_errs_by_its_distance() -> None:
    x0 = torch.randn(6, SHAPE.d, generator=seeded())
    point = torch.full((SHAPE.d,), 0.3, dtype=torch.float64)
    errors = denoising_errors(Single(SHAPE, point), x0, 9.0)
    torch.testing.assert_close(errors, (x0.double() - 0.3).square().sum(dim=1), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("batch", [1, 3, 7, 100])
def test_batch_never_changes_the_errors(batch: int) -> None:
    x0 = torch.randn(7, SHAPE.d, generator=seeded())
    whole = denoising_errors(Keep(0.5), x0, 1.0, batch=7)
    torch.testing.assert_close(denoising_errors(Keep(0.5), x0, 1.0, batch=batch), whole)


def test_wiener_errs_as_its_trace_says() -> None:
    """5,000 Gaussian images; four standard errors allowed."""
    world = Gaussian.random(SHAPE, seed=8)
    mean, cov = world.mean(), world.cov()
    wiener = WienerFilter.fit(ValueMoments(2, mean, cov), SHAPE)
    x0 = world.draw(5000, torch.Generator().manual_seed(4)).float()
    errors = denoising_errors(wiener, x0, 0.6)
    assert abs(float(errors.mean()) - wiener.expected_error(0.6)) < 4 * float(errors.std()) / math.sqrt(5000)


def test_ratio_uses_the_same_noise_for_both() -> None:
    """Twice the residual on every draw is exactly four times the error; with other noise it would not be."""
    x0 = torch.zeros(20, SHAPE.d)
    assert error_ratio(Keep(1.0), Keep(0.5), x0, 1.0) == pytest.approx(4.0, rel=1e-6)
    assert error_ratio(Keep(0.5), Keep(0.5), x0, 1.0) == 1.0


def test_no_gradient_is_kept() -> None:
    x0 = torch.zeros(2, SHAPE.d, requires_grad=True)
    assert not denoising_errors(Keep(0.5), x0, 1.0).requires_grad
