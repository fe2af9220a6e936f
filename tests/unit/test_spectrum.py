"""Power spectrum and correlation: closed forms, a naive transform, a loop over pairs, constant pixels."""

from __future__ import annotations

import cmath
import math

import pytest
import torch

from locality.datasets.power_law import PowerLaw
from locality.errors import BadInput
from locality.linear.correlation import correlation_function, pixel_variance, radial_correlation
from locality.linear.moments import estimate_moments
from locality.linear.spectrum import (
    Rings,
    exponents_of_halves,
    fit_power_law,
    frequencies,
    nyquist,
    power_spectrum,
    ring_average,
    share_above,
)
from locality.linear.wiener import WienerFilter
from locality.types import ImageShape

SMALL = ImageShape(2, 4, 5)


def of_covariance(cov: torch.Tensor, shape: ImageShape) -> WienerFilter:
    eigvals, eigvecs = torch.linalg.eigh(cov.double())
    flipped = eigvecs.flip(1).float().contiguous()
    return WienerFilter(shape, 100, torch.zeros(shape.d).double(), eigvals.flip(0).clamp(min=0), flipped)


def random_covariance(shape: ImageShape, seed: int = 0) -> torch.Tensor:
    mix = torch.randn(shape.d, shape.d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return mix @ mix.T / shape.d


def naive_correlation(cov: torch.Tensor, shape: ImageShape, dy: int, dx: int) -> tuple[float, int]:
    """Mean over channels and pairs inside the image, pixels without variance left out; number of pairs."""
    c, h, w = shape
    found = []
    for channel in range(c):
        for row in range(max(0, -dy), min(h, h - dy)):
            for col in range(max(0, -dx), min(w, w - dx)):
                i = channel * h * w + row * w + col
                j = i + dy * w + dx
                if cov[i, i] > 0 and cov[j, j] > 0:
                    found.append(float(cov[i, j] / (cov[i, i] * cov[j, j]).sqrt()))
    return (sum(found) / len(found) if found else 0.0), len(found)


@pytest.fixture(scope="module", params=[1.0, 2.0, 3.0])
def power_law(request: pytest.FixtureRequest) -> tuple[PowerLaw, WienerFilter]:
    spec = PowerLaw(a=request.param)
    return spec, of_covariance(spec.covariance(), spec.shape)


def test_power_law_has_its_closed_form(power_law: tuple[PowerLaw, WienerFilter]) -> None:
    spec, wiener = power_law
    torch.testing.assert_close(power_spectrum(wiener), spec.spectrum(), rtol=1e-4, atol=0)


def test_exponent_of_a_power_law_is_recovered(power_law: tuple[PowerLaw, WienerFilter]) -> None:
    spec, wiener = power_law
    fit = fit_power_law(ring_average(power_spectrum(wiener), spec.shape), 1, 16)
    assert fit.exponent == pytest.approx(spec.a, abs=1e-5)
    assert fit.error < 1e-5
    assert fit.amplitude == pytest.approx(float(spec.spectrum()[0, 1]), rel=1e-5)  # the power at k = 1
    assert (fit.low, fit.high, fit.rings) == (1, 16, 16)


def test_power_law_correlates_as_its_covariance(power_law: tuple[PowerLaw, WienerFilter]) -> None:
    spec, wiener = power_law
    of_offset = torch.fft.ifft2(spec.spectrum()).real / spec.contrast**2  # periodic, but known at every offset
    value = correlation_function(wiener).value
    for dy, dx in [(0, 0), (0, 1), (3, 0), (5, 7), (-4, 9), (20, 2)]:
        assert float(value[31 + dy, 31 + dx]) == pytest.approx(float(of_offset[dy % 32, dx % 32]), abs=1e-5)


def test_white_noise_is_flat_and_uncorrelated() -> None:
    shape = ImageShape(3, 6, 6)
    wiener = of_covariance(0.25 * torch.eye(shape.d), shape)
    torch.testing.assert_close(power_spectrum(wiener), torch.full((6, 6), 0.25).double())
    fit = fit_power_law(ring_average(power_spectrum(wiener), shape), 1, 3)
    assert fit.exponent == pytest.approx(0, abs=1e-6)
    correlation = correlation_function(wiener)
    expected = torch.zeros(11, 11).double()
    expected[5, 5] = 1
    torch.testing.assert_close(correlation.value, expected, atol=1e-6, rtol=0)
    assert correlation.constant == 0


def test_power_equals_a_naive_transform_of_the_covariance() -> None:
    c, h, w = SMALL
    cov = random_covariance(SMALL)
    power = power_spectrum(of_covariance(cov, SMALL))
    for ky in range(h):
        for kx in range(w):
            wave = [cmath.exp(2j * math.pi * (ky * y / h + kx * x / w)) for y in range(h) for x in range(w)]
            e = torch.tensor(wave, dtype=torch.complex128) / math.sqrt(h * w)
            blocks = (cov[i * h * w : (i + 1) * h * w, i * h * w : (i + 1) * h * w] for i in range(c))
            expected = sum(float((e.conj() @ block.to(e) @ e).real) for block in blocks) / c
            assert float(power[ky, kx]) == pytest.approx(expected, rel=1e-5)


def test_power_is_the_mean_periodogram_of_the_images() -> None:
    shape, n = ImageShape(1, 6, 6), 50
    images = torch.rand(n, shape.d, generator=torch.Generator().manual_seed(1))
    power = power_spectrum(WienerFilter.fit(estimate_moments([images]), shape))
    centred = (images - images.mean(dim=0)).double().reshape(n, 6, 6)
    expected = torch.fft.fft2(centred).abs().square().sum(dim=0) / 36 / (n - 1)
    torch.testing.assert_close(power, expected, rtol=1e-4, atol=1e-8)


def test_parseval_over_components_and_over_rings() -> None:
    cov = random_covariance(SMALL)
    power = power_spectrum(of_covariance(cov, SMALL))
    trace = float(cov.trace()) / SMALL.c
    assert float(power.sum()) == pytest.approx(trace, rel=1e-5)
    rings = ring_average(power, SMALL)
    assert float((rings.power * rings.count).sum()) == pytest.approx(trace, rel=1e-5)
    assert int(rings.count.sum()) == 20


def test_frequencies_are_in_cycles_per_image_along_both_axes() -> None:
    k = frequencies(ImageShape(1, 4, 8))
    assert k[0].tolist() == [0, 1, 2, 3, 4, 3, 2, 1]
    assert k[:, 0].tolist() == [0, 2, 4, 2]  # the short axis has a coarser grid of the same waves
    assert nyquist(ImageShape(1, 4, 8)) == 4


def test_standard_error_of_the_exponent_is_that_of_a_least_squares_line() -> None:
    rings = ring_average(
        torch.rand(16, 16, generator=torch.Generator().manual_seed(2)).double() + 0.1, ImageShape(1, 16, 16)
    )
    fit = fit_power_law(rings, 2, 8)
    x, y = rings.frequency[2:9].log(), rings.typical[2:9].log()
    design = torch.stack([x, torch.ones_like(x)], dim=1)
    coefficients = torch.linalg.lstsq(design, y[:, None]).solution[:, 0]
    variance = float((y - design @ coefficients).square().sum()) / (len(x) - 2)
    covariance = variance * torch.linalg.inv(design.T @ design)
    assert fit.exponent == pytest.approx(-float(coefficients[0]), rel=1e-9)
    assert fit.error == pytest.approx(math.sqrt(float(covariance[0, 0])), rel=1e-9)
    assert fit.rings == 7


@pytest.mark.parametrize(("low", "high"), [(1, 2), (9, 3), (40, 50)])
def test_too_short_a_range_is_one_clear_message(low: float, high: float) -> None:
    rings = ring_average(torch.ones(16, 16).double(), ImageShape(1, 16, 16))
    with pytest.raises(BadInput, match="at least three frequencies with power"):
        fit_power_law(rings, low, high)


def test_frequencies_without_power_are_not_fitted() -> None:
    shape = ImageShape(1, 32, 32)
    power = torch.where(frequencies(shape) < 6.5, PowerLaw().spectrum(), 1e-20)  # as in an upsampled image
    fit = fit_power_law(ring_average(power, shape), 1, 16)
    assert fit.rings == 6
    assert fit.exponent == pytest.approx(2, abs=1e-9)


def test_correlation_equals_a_loop_over_pairs() -> None:
    cov = random_covariance(SMALL, 3)
    found = correlation_function(of_covariance(cov, SMALL))
    for dy in range(-3, 4):
        for dx in range(-4, 5):
            value, pairs = naive_correlation(cov, SMALL, dy, dx)
            assert float(found.value[3 + dy, 4 + dx]) == pytest.approx(value, abs=1e-5)
            assert int(found.pairs[3 + dy, 4 + dx]) == pairs


def test_constant_pixels_are_left_out() -> None:
    cov = random_covariance(SMALL, 4)
    for coordinate in (0, 7, 19, 25):
        cov[coordinate] = cov[:, coordinate] = 0
    found = correlation_function(of_covariance(cov, SMALL))
    assert found.constant == 4
    assert bool(found.value.isfinite().all())
    for dy, dx in [(0, 0), (0, 1), (2, -3), (3, 4), (-3, -4)]:
        value, pairs = naive_correlation(cov, SMALL, dy, dx)
        assert float(found.value[3 + dy, 4 + dx]) == pytest.approx(value, abs=1e-5)
        assert int(found.pairs[3 + dy, 4 + dx]) == pairs


def test_pixels_that_hardly_vary_count_as_constant() -> None:
    cov = random_covariance(SMALL, 6)
    cov[3] *= 1e-2  # dim, but it varies
    cov[:, 3] *= 1e-2
    exact = cov.clone()
    exact[7] = exact[:, 7] = 0
    cov[7] *= 3e-4  # its variance falls to 1e-7 of the others'
    cov[:, 7] *= 3e-4
    found, expected = (correlation_function(of_covariance(part, SMALL)) for part in (cov, exact))
    assert found.constant == 1
    torch.testing.assert_close(found.pairs, expected.pairs)
    torch.testing.assert_close(found.value, expected.value, atol=1e-6, rtol=0)


def test_images_that_never_vary_have_no_pairs_and_no_spectrum() -> None:
    wiener = of_covariance(torch.zeros(20, 20), ImageShape(1, 4, 5))
    correlation = correlation_function(wiener)
    assert correlation.constant == 20
    assert float(correlation.pairs.sum()) == 0
    assert bool((correlation.value == 0).all())
    radial = radial_correlation(correlation)
    assert len(radial.value) == 0
    assert radial.reach(0.5) is None
    assert share_above(wiener, 1.0) == 0
    with pytest.raises(BadInput, match="has 0"):
        fit_power_law(ring_average(power_spectrum(wiener), wiener.shape), 1, 2)


def test_radial_correlation_is_the_mean_over_pairs_of_a_ring() -> None:
    cov = random_covariance(SMALL, 5)
    radial = radial_correlation(correlation_function(of_covariance(cov, SMALL)))
    sums: dict[int, list[float]] = {}
    for dy in range(-3, 4):
        for dx in range(-4, 5):
            value, pairs = naive_correlation(cov, SMALL, dy, dx)
            total = sums.setdefault(round(math.hypot(dy, dx)), [0.0, 0.0, 0.0])
            total[0] += pairs * math.hypot(dy, dx)
            total[1] += pairs * value
            total[2] += pairs
    for i, (distance, value, pairs) in enumerate(sums[ring] for ring in sorted(sums)):
        assert float(radial.distance[i]) == pytest.approx(distance / pairs)
        assert float(radial.value[i]) == pytest.approx(value / pairs, abs=1e-5)
        assert float(radial.pairs[i]) == pairs


def test_reach_interpolates_between_rings() -> None:
    cov = torch.tensor([[0.8 ** abs(i - j) for j in range(9)] for i in range(9)])
    radial = radial_correlation(correlation_function(of_covariance(cov, ImageShape(1, 1, 9))))
    assert radial.reach(0.5) == pytest.approx(3 + (0.512 - 0.5) / (0.512 - 0.4096), abs=1e-4)
    assert radial.reach(0.1) is None


def test_variance_of_pixels_and_share_above_the_noise() -> None:
    wiener = of_covariance(torch.diag(torch.tensor([4.0, 1.0, 3.0, 2.0])), ImageShape(1, 2, 2))
    torch.testing.assert_close(pixel_variance(wiener), torch.tensor([4.0, 1.0, 3.0, 2.0]).double())
    assert share_above(wiener, 1.5) == pytest.approx(0.7)  # 4 and 3 lie above 2.25
    with pytest.raises(BadInput, match="not a noise level"):
        share_above(wiener, math.nan)


def test_halves_of_a_power_law_have_its_exponent_and_those_of_two_laws_have_theirs() -> None:
    frequency = torch.arange(1, 65, dtype=torch.float64)
    one = frequency**-2.0
    two = torch.where(frequency < 8, frequency**-1.0, 8.0**2 * frequency**-3.0)  # 8 is in both
    for power, want in ((one, (2.0, 2.0)), (two, (1.0, 3.0))):
        rings = Rings(frequency, power, power, torch.ones_like(power))
        assert exponents_of_halves(rings, 1, 64) == pytest.approx(want, abs=1e-9)
    assert exponents_of_halves(rings, 1, 4) is None
