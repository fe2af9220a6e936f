"""The Wiener filter: against an independent solve, its limits, its error by simulation, Fourier on the torus."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from locality.errors import BadInput, NonFinite
from locality.linear.moments import Moments, ValueMoments, estimate_moments
from locality.linear.stored import pack, unpack
from locality.linear.wiener import WienerFilter, coordinates
from locality.store import Artifact
from locality.types import ImageShape, Pixel
from tests.problems import Gaussian, Scaled, Shifted, Stationary, World

SHAPE = ImageShape(2, 3, 4)
SIGMAS = (0.05, 0.7, 3.0)


def moments_of(world: World, count: int = 1000) -> Moments:
    """Moments with exactly this mean and covariance, as if `count` images had been summed."""
    mean, cov = world.mean(), world.cov()
    return ValueMoments(count, mean, (count - 1) * cov)


def fit(world: World) -> WienerFilter:
    return WienerFilter.fit(moments_of(world), world.shape)


def independent(cov: Tensor, sigma: float) -> np.ndarray:
    """W = S (S + sigma^2 I)^-1 by a linear solve in numpy: no eigenvectors anywhere."""
    s = cov.double().numpy()
    return np.linalg.solve(s + sigma**2 * np.eye(len(s)), s).T


@pytest.fixture(scope="module")
def world() -> Gaussian:
    return Gaussian.random(SHAPE, seed=4)


@pytest.fixture(scope="module")
def wiener(world: Gaussian) -> WienerFilter:
    return fit(world)


@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize("rank", [None, 5])
def test_matrix_equals_an_independent_solve(sigma: float, rank: int | None) -> None:
    """Entries are at most 1; float32 eigenvectors leave a few 1e-7. Rank 5 of 24: a singular covariance."""
    world = Gaussian.random(SHAPE, seed=1, rank=rank)
    matrix = fit(world).matrix(sigma).numpy()
    np.testing.assert_allclose(matrix, independent(world.cov(), sigma), rtol=0, atol=2e-6)


@pytest.mark.parametrize("sigma", SIGMAS)
def test_estimate_is_the_posterior_mean_of_a_gaussian(world: Gaussian, wiener: WienerFilter, sigma: float) -> None:
    x = world.draw(5, torch.Generator().manual_seed(0)) + sigma
    torch.testing.assert_close(wiener(x, sigma), world(x, sigma), rtol=0, atol=1e-5)
    torch.testing.assert_close(wiener(x.float(), sigma), world(x, sigma).float(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("sigma", [0.2, 2.0])
def test_shifting_and_scaling_the_images_moves_the_filter_with_them(sigma: float) -> None:
    """W of images times f at sigma is W at sigma / f; a shift moves the mean alone."""
    base = Gaussian.random(SHAPE, seed=2)
    by = torch.linspace(-1, 1, SHAPE.d, dtype=torch.float64)
    moved, scaled = fit(Shifted(base, by)), fit(Scaled(base, -3.0))
    torch.testing.assert_close(moved.matrix(sigma), fit(base).matrix(sigma), rtol=0, atol=2e-6)
    torch.testing.assert_close(moved.mean, base.mean() + by, rtol=0, atol=1e-12)
    torch.testing.assert_close(scaled.matrix(sigma), fit(base).matrix(sigma / 3), rtol=0, atol=2e-6)


def test_no_noise_gives_the_identity(wiener: WienerFilter) -> None:
    torch.testing.assert_close(wiener.matrix(1e-6), torch.eye(SHAPE.d), rtol=0, atol=2e-6)


def test_endless_noise_gives_the_mean_and_rows_of_the_covariance(world: Gaussian, wiener: WienerFilter) -> None:
    x = torch.randn(3, SHAPE.d, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 1e5
    torch.testing.assert_close(wiener(x, 1e6), world.mean().expand(3, -1), rtol=0, atol=1e-5)
    sigma = 1e4
    torch.testing.assert_close(wiener.matrix(sigma).double() * sigma**2, world.cov(), rtol=0, atol=2e-5)


def test_gain_is_a_falling_share(wiener: WienerFilter) -> None:
    gain = wiener.gain(0.7)
    assert ((gain >= 0) & (gain <= 1)).all()
    assert (gain.diff() <= 0).all()
    assert (wiener.gain(1.4) < gain).all()
    assert wiener.eigvals.dtype == gain.dtype == torch.float64
    np.testing.assert_allclose(gain, wiener.eigvals / (wiener.eigvals + 0.49), rtol=1e-15)


def test_singular_covariance_has_no_negative_gain() -> None:
    """Rounding leaves eigenvalues of about -1e-16, which would give gains below 0, or above 1 at low noise."""
    flat = fit(Gaussian.random(SHAPE, seed=1, rank=3))
    assert (flat.eigvals >= 0).all()
    assert ((flat.gain(1e-6) >= 0) & (flat.gain(1e-6) <= 1)).all()


@pytest.mark.parametrize("sigma", [0.3, 2.0])
def test_expected_error_is_the_error_of_simulated_images(world: Gaussian, wiener: WienerFilter, sigma: float) -> None:
    """20,000 draws; four standard errors allowed."""
    generator = torch.Generator().manual_seed(9)
    x0 = world.draw(20_000, generator)
    x = x0 + sigma * torch.randn(x0.shape, generator=generator, dtype=torch.float64)
    errors = (wiener(x, sigma) - x0).square().sum(dim=1)
    assert abs(float(errors.mean()) - wiener.expected_error(sigma)) < 4 * float(errors.std()) / math.sqrt(len(x))
    trace = np.trace(independent(world.cov(), sigma))
    assert math.isclose(wiener.expected_error(sigma), sigma**2 * trace, rel_tol=1e-9)


def test_rows_are_rows_of_the_matrix(wiener: WienerFilter) -> None:
    coords = torch.tensor([3, 0, 17])
    torch.testing.assert_close(wiener.rows(coords, 0.7), wiener.matrix(0.7)[coords], rtol=0, atol=1e-6)


def test_pixel_matrix_sums_over_both_channels(wiener: WienerFilter) -> None:
    blocks = wiener.matrix(0.7).reshape(SHAPE.c, 12, SHAPE.c, 12)
    whole = wiener.pixel_matrix(0.7)
    torch.testing.assert_close(whole, blocks.sum(dim=(0, 2)), rtol=0, atol=5e-6)
    places = torch.tensor([7, 2])
    torch.testing.assert_close(wiener.pixel_matrix(0.7, places), whole[places], rtol=0, atol=1e-6)


def test_projection_keeps_the_components_above_the_noise(world: Gaussian, wiener: WienerFilter) -> None:
    values, vectors = np.linalg.eigh(world.cov().numpy())
    sigma = math.sqrt(np.median(values))
    kept = vectors[:, values > sigma**2]
    coords = torch.tensor([5, 20])
    np.testing.assert_allclose(wiener.projection_rows(coords, sigma), (kept @ kept.T)[coords], rtol=0, atol=2e-6)
    assert wiener.above_noise(sigma) == kept.shape[1] == 12


@pytest.mark.parametrize("sigma", [0.1, 0.5, 2.0])
def test_stationary_images_give_one_kernel_everywhere(sigma: float) -> None:
    """Every row is F^-1[P / (P + sigma^2)], moved to its pixel."""
    torus = Stationary.law(6)
    rows = fit(torus).matrix(sigma).double().reshape(6, 6, 6, 6)
    kernel = torus.kernel(sigma)
    for i, j in ((0, 0), (2, 5), (3, 3)):
        torch.testing.assert_close(rows[i, j], torch.roll(kernel, (i, j), (0, 1)), rtol=0, atol=2e-6)


def test_draws_have_the_moments(world: Gaussian, wiener: WienerFilter) -> None:
    x0 = wiener.sample(20_000, torch.Generator().manual_seed(0)).double()
    scale = float(world.cov().diagonal().max())
    assert (x0.mean(dim=0) - world.mean()).abs().max() < 0.035 * math.sqrt(scale)
    assert (torch.cov(x0.T) - world.cov()).abs().max() < 0.05 * scale
    again = wiener.sample(3, torch.Generator().manual_seed(0))
    assert again.shape == (3, SHAPE.d)
    assert torch.equal(again, wiener.sample(3, torch.Generator().manual_seed(0)))


def test_constant_pixels_have_zero_fields() -> None:
    """A pixel that never varies says nothing and hears nothing; its estimate is its mean, at any noise."""
    images = torch.randint(256, (60, SHAPE.d), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    images[:, 7] = 51
    wiener = WienerFilter.fit(estimate_moments([images]), SHAPE)
    for sigma in (1e-3, 1.0):
        matrix = wiener.matrix(sigma)
        assert (matrix[7] == 0).all()
        assert (matrix[:, 7] == 0).all()
    answer = wiener(torch.full((1, SHAPE.d), 5.0), 0.5)
    assert answer[0, 7].item() == pytest.approx(51 / 127.5 - 1, abs=1e-6)


def test_constant_images_are_their_own_answer() -> None:
    wiener = WienerFilter.fit(estimate_moments([torch.full((5, SHAPE.d), 51, dtype=torch.uint8)]), SHAPE)
    assert (wiener.matrix(0.5) == 0).all()
    assert (wiener.eigvals == 0).all()
    torch.testing.assert_close(wiener.eigvecs @ wiener.eigvecs.T, torch.eye(SHAPE.d))
    torch.testing.assert_close(wiener(torch.ones(1, SHAPE.d), 0.5), torch.full((1, SHAPE.d), 51 / 127.5 - 1))


def test_nearly_constant_float_pixels_are_constant() -> None:
    """A float pixel of 0.1 has a variance of about 1e-18 by rounding alone."""
    images = torch.randn(60, SHAPE.d, generator=torch.Generator().manual_seed(0))
    images[:, 7] = 0.1
    wiener = WienerFilter.fit(estimate_moments([images]), SHAPE)
    assert (wiener.matrix(1e-4)[7] == 0).all()


def test_plain_pack_returns_the_same_bits(wiener: WienerFilter) -> None:
    back = unpack(pack(wiener, compact=False))
    assert back.shape == wiener.shape
    assert back.count == wiener.count
    for name in ("mean", "eigvals", "eigvecs"):
        assert torch.equal(getattr(back, name), getattr(wiener, name))


@pytest.mark.parametrize("sigma", SIGMAS)
def test_compact_pack_keeps_rows_to_one_in_ten_thousand(wiener: WienerFilter, sigma: float) -> None:
    """int16 with a scale per column: entries off by at most half a step, rows by less than 1e-4 of their norm."""
    artifact = pack(wiener, compact=True)
    assert artifact.arrays["eigvecs"].dtype == torch.int16
    back = unpack(artifact)
    half_step = wiener.eigvecs.abs().amax(dim=0) / 32_767 / 2
    assert ((back.eigvecs - wiener.eigvecs).abs() <= half_step * 1.01 + 1e-9).all()
    rows, kept = wiener.matrix(sigma), back.matrix(sigma)
    assert ((kept - rows).norm(dim=1) <= 1e-4 * rows.norm(dim=1)).all()
    assert torch.equal(back.eigvals, wiener.eigvals)


def test_unpack_changes_nothing_in_the_artefact(wiener: WienerFilter) -> None:
    artifact = pack(wiener, compact=True)
    copy = Artifact({name: array.clone() for name, array in artifact.arrays.items()}, artifact.meta)
    unpack(artifact).eigvecs.mul_(2)
    assert all(torch.equal(artifact.arrays[name], copy.arrays[name]) for name in copy.arrays)


def test_coordinates_are_channel_major() -> None:
    assert coordinates(SHAPE, Pixel(2, 1)).tolist() == [9, 21]
    assert coordinates(ImageShape(1, 8, 8), Pixel(7, 7)).tolist() == [63]


@pytest.mark.parametrize("pixel", [(-1, 0), (0, -1), (3, 0), (0, 4)])
def test_pixels_outside_are_refused(pixel: tuple[int, int]) -> None:
    with pytest.raises(BadInput, match=r"outside the 3x4 image: rows 0\.\.2, columns 0\.\.3"):
        coordinates(SHAPE, Pixel(*pixel))


@pytest.mark.parametrize("sigma", [0.0, -1.0, math.nan, math.inf, 1e-200, 1e200])
def test_noise_levels_that_are_none_are_refused(wiener: WienerFilter, sigma: float) -> None:
    """1e-200 squared is 0 and 1e200 squared overflows: both would give nan or a crash, not a field."""
    coords, x = torch.tensor([0]), torch.zeros(1, SHAPE.d)
    calls = (
        lambda: wiener.gain(sigma),
        lambda: wiener.rows(coords, sigma),
        lambda: wiener.projection_rows(coords, sigma),
        lambda: wiener.matrix(sigma),
        lambda: wiener.pixel_matrix(sigma),
        lambda: wiener(x, sigma),
        lambda: wiener.expected_error(sigma),
        lambda: wiener.above_noise(sigma),
    )
    for call in calls:
        with pytest.raises(BadInput, match="is not a noise level"):
            call()


def test_images_it_cannot_take_are_refused(wiener: WienerFilter) -> None:
    with pytest.raises(BadInput, match="23 values do not fit a denoiser of 2x3x4 images"):
        wiener(torch.zeros(1, SHAPE.d - 1), 1.0)
    x = torch.zeros(2, SHAPE.d)
    x[1, 3] = math.nan
    with pytest.raises(NonFinite, match="NaN or infinity"):
        wiener(x, 1.0)


def test_covariance_that_is_not_finite_is_refused() -> None:
    broken = ValueMoments(3, torch.zeros(4, dtype=torch.float64), torch.full((4, 4), math.nan, dtype=torch.float64))
    with pytest.raises(NonFinite, match="covariance is not finite"):
        WienerFilter.fit(broken, ImageShape(1, 2, 2))


def test_one_image_is_refused() -> None:
    with pytest.raises(BadInput, match="at least two images"):
        WienerFilter.fit(estimate_moments([torch.zeros(1, SHAPE.d, dtype=torch.uint8)]), SHAPE)
