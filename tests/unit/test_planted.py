"""Planted patterns: the low-rank update against the filter of the edited images, recomputed from nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from locality.edits import Stage, parse_edit
from locality.errors import BadInput
from locality.fields.jacobian import mass_on
from locality.fields.rows import rows
from locality.linear.moments import estimate_moments
from locality.linear.planted import Planted
from locality.linear.spectrum import power_spectrum
from locality.linear.statistics import Statistics
from locality.linear.wiener import WienerFilter
from locality.store import Store
from locality.types import ImageShape, Pixel
from tests.small_sets import eight_bit

SHAPE = ImageShape(3, 8, 8)
COORDS = torch.tensor([0, 77, 191])
IMAGES = eight_bit(300, SHAPE)


@pytest.fixture
def exact(tmp_path: Path) -> tuple[Planted, Statistics, Stage]:
    """Filter of the plain images, what plants a pattern in it, and the same edit for the statistics."""
    from locality.device import Compute

    store = Store(tmp_path)
    stage = Stage(IMAGES, None, Compute(), store)
    moments = estimate_moments([IMAGES.data.data])
    edit = parse_edit("pattern:W,colour=red-green,seed=2")
    coupling, variance, _ = edit.coupling(stage)  # type: ignore[attr-defined]
    planted = Planted(WienerFilter.fit(moments, SHAPE), edit.weights(SHAPE), coupling, variance)  # type: ignore[attr-defined]
    yield planted, Statistics(moments.count, moments.mean(), moments.cov()), stage  # type: ignore[misc]
    store.close()


@pytest.mark.parametrize("strength", [0.0, 0.5, -0.5, 3.0, 100.0])
@pytest.mark.parametrize("sigma", [0.05, 0.7, 3.4])
def test_rows_are_those_of_the_edited_covariance(
    exact: tuple[Planted, Statistics, Stage], sigma: float, strength: float
) -> None:
    """Solved in float64 from S' written out; the update keeps the float32 of the eigenvectors."""
    planted, before, stage = exact
    after = parse_edit(f"pattern:W,colour=red-green,seed=2,strength={strength}").statistics(before, stage)
    assert after is not None
    full = torch.linalg.solve(after.cov + sigma**2 * torch.eye(SHAPE.d, dtype=torch.float64), after.cov[:, COORDS]).T
    assert (planted.rows(COORDS, sigma, strength) - full).abs().max() < 1e-6


@pytest.mark.parametrize("strength", [0.0, 0.5, -3.0])
def test_fields_are_the_summed_rows(exact: tuple[Planted, Statistics, Stage], strength: float) -> None:
    planted, pixels = exact[0], [Pixel(0, 0), Pixel(3, 5), Pixel(7, 7)]
    before = rows(planted.base, pixels, 0.7).summed()[:, 0]
    found = planted.fields(before, torch.tensor([0, 29, 63]), 0.7, strength)
    truth = rows(planted.at(strength), pixels, 0.7).summed()[:, 0]
    torch.testing.assert_close(found, truth, rtol=0, atol=1e-6)


def test_expectation_is_the_formula_with_one_factor() -> None:
    """W' = W + sigma^2 c^2 / (1 + c^2 w.v) v v^T with v = (S + sigma^2 I)^-1 w."""
    moments = estimate_moments([IMAGES.data.data])
    w = parse_edit("pattern:ring").weights(SHAPE)  # type: ignore[attr-defined]
    base, sigma, c = WienerFilter.fit(moments, SHAPE), 0.8, 0.6
    planted = Planted(base, w, torch.zeros(SHAPE.d, dtype=torch.float64), 1.0)
    v = torch.linalg.solve(moments.cov() + sigma**2 * torch.eye(SHAPE.d, dtype=torch.float64), w)
    change = sigma**2 * c**2 / (1 + c**2 * w @ v) * torch.outer(v[COORDS], v)
    assert (planted.rows(COORDS, sigma, c) - base.rows(COORDS, sigma) - change).abs().max() < 1e-6


def test_a_strong_pattern_takes_the_field_of_its_pixels(exact: tuple[Planted, Statistics, Stage]) -> None:
    planted, _, _ = exact
    mask = parse_edit("pattern:W").pattern(SHAPE) != 0  # type: ignore[attr-defined]
    row, col = (int(place) for place in torch.nonzero(mask)[3])
    coords = torch.tensor([row * 8 + col])  # red, where the pattern is
    shares = [mass_on(planted.rows(coords, 2.0, c).reshape(SHAPE)[0], mask, Pixel(row, col)) for c in (0.0, 0.5, 2.0)]
    assert shares[0] < shares[1] < shares[2]
    assert shares[2] > 0.6


def test_power_spectrum_and_variance_of_the_edited_images(exact: tuple[Planted, Statistics, Stage]) -> None:
    planted, before, stage = exact
    after = parse_edit("pattern:W,colour=red-green,seed=2,strength=0.8").statistics(before, stage)
    assert after is not None
    truth = power_spectrum(after.wiener(SHAPE))
    assert (planted.power_spectrum(0.8) - truth).abs().max() < 1e-5 * float(truth.max())
    w = planted.pattern
    assert planted.variance_along(0.8) == pytest.approx(float(w @ after.cov @ w / (w @ w)), rel=1e-5)


def test_a_coupling_that_no_images_have_is_refused() -> None:
    base = WienerFilter.fit(estimate_moments([IMAGES.data.data]), SHAPE)
    w = parse_edit("pattern:W").weights(SHAPE)  # type: ignore[attr-defined]
    with pytest.raises(BadInput, match=r"A pattern of strength 1 with this coupling leaves no covariance"):
        Planted(base, w, -100.0 * w, 1.0).rows(COORDS, 0.1, 1.0)


def test_mass_on_a_mask() -> None:
    field = torch.tensor([[1.0, -2.0], [0.0, 5.0]])
    mask = torch.tensor([[False, True], [True, False]])
    assert mass_on(field, mask) == 2 / 8
    assert mass_on(field, mask, Pixel(1, 1)) == 2 / 3
    assert mass_on(field, mask, Pixel(0, 1)) == 0.0
    assert field[1, 1] == 5.0
    assert mass_on(torch.zeros(2, 2), mask) != mass_on(torch.zeros(2, 2), mask)  # nan
