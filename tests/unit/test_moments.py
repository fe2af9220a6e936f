"""Mean and covariance: against naive loops and integers, for any chunks, merged or whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from locality.errors import BadInput, NonFinite
from locality.moments import Moments, _product_by_floats, accumulate_moments, estimate_moments, integer_product


def pixels(n: int, d: int, seed: int = 0) -> Tensor:
    return torch.randint(256, (n, d), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def values(n: int, d: int, seed: int = 0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) * 0.3 + 0.1


def naive_cov(x0: np.ndarray) -> np.ndarray:
    """The definition, one pair of coordinates at a time."""
    n, d = x0.shape
    mean = [sum(x0[:, q]) / n for q in range(d)]
    cov = np.empty((d, d))
    for q in range(d):
        for p in range(d):
            cov[q, p] = sum((x0[i, q] - mean[q]) * (x0[i, p] - mean[p]) for i in range(n)) / (n - 1)
    return cov


@pytest.mark.parametrize("images", [pixels(13, 5), values(13, 5)], ids=["8bit", "float"])
def test_equal_to_the_naive_double_loop(images: Tensor) -> None:
    """Float64 on both sides: 1e-13 of values of order one is rounding."""
    x0 = images.double().numpy()
    x0 = x0 / 127.5 - 1 if images.dtype == torch.uint8 else x0
    moments = estimate_moments([images])
    np.testing.assert_allclose(moments.mean().numpy(), x0.mean(axis=0), rtol=0, atol=1e-14)
    np.testing.assert_allclose(moments.cov().numpy(), naive_cov(x0), rtol=0, atol=1e-13)


@pytest.mark.parametrize("d", [1, 31, 64, 100, 768, 801, 1600])
def test_integer_sums_have_no_error(d: int) -> None:
    """Widths that are not multiples of 32 (padding) and wider than a block (upper triangle of blocks)."""
    images = pixels(37, d)
    shifted = images.numpy().astype(np.int64) - 128
    moments = estimate_moments(images.split(10))
    assert moments.count == 37
    assert moments.sums.dtype == moments.gram.dtype == torch.int64
    assert (moments.sums.numpy() == shifted.sum(axis=0)).all()
    assert (np.triu(moments.gram.numpy()) == np.triu(shifted.T @ shifted)).all()


def test_extreme_pixels_stay_exact() -> None:
    """All-black images reach the largest product, 128^2, in every entry; 140,000 of them leave int32."""
    images = torch.zeros(140_000, 2, dtype=torch.uint8)
    images[0] = 255
    moments = estimate_moments([images])
    assert moments.gram[0, 0].item() == 139_999 * 128**2 + 127**2
    assert moments.sums[0].item() == -139_999 * 128 + 127


def test_products_by_floats_are_exact_too() -> None:
    """The way for devices without fast integer products; 2,500 images need three sums of at most 1,024."""
    left = pixels(3, 2500, seed=1).bitwise_xor(128).view(torch.int8)
    left[0] = -128
    exact = left.long() @ left.long().T
    assert (_product_by_floats(left, left.T) == exact).all()


@pytest.mark.parametrize("fast", [True, False])
def test_both_ways_give_the_same_integers(monkeypatch: pytest.MonkeyPatch, fast: bool) -> None:
    """Integer instructions where the processor has them, float products where it has not."""
    monkeypatch.setattr("locality.moments.fast_integers", lambda kind: fast)
    left = torch.nn.functional.pad(pixels(3, 2500, seed=1).bitwise_xor(128).view(torch.int8), (0, 28, 0, 29))
    assert (integer_product(left, left.T) == left.long() @ left.long().T).all()


def test_covariance_does_not_depend_on_chunks() -> None:
    """Bitwise for 8-bit images, the last chunk shorter than the rest."""
    images = pixels(50, 40)
    whole = estimate_moments([images]).cov()
    for size in (1, 7, 49, 50):
        assert torch.equal(estimate_moments(images.split(size)).cov(), whole)


@pytest.mark.parametrize("images", [pixels(20, 33), values(20, 33)], ids=["8bit", "float"])
def test_merging_parts_equals_the_whole(images: Tensor) -> None:
    parts = [estimate_moments([part]) for part in images.split(6)]
    merged, whole = sum(parts[1:], start=parts[0]), estimate_moments([images])
    assert merged.count == whole.count
    torch.testing.assert_close(merged.cov(), whole.cov(), rtol=0, atol=0 if images.dtype == torch.uint8 else 1e-14)
    torch.testing.assert_close(merged.mean(), whole.mean(), rtol=0, atol=1e-15)


def test_float_images_are_summed_in_float64() -> None:
    """A large common offset leaves float32 sums without a digit: variance 1 at mean 1000, 4,000 images."""
    images = values(4000, 3) / 0.3 + 1000.0
    moments = estimate_moments(images.split(1000))
    assert moments.gram.dtype == torch.float64
    np.testing.assert_allclose(moments.cov().numpy(), np.cov(images.double().numpy().T), rtol=0, atol=1e-9)


def test_constant_pixels_have_exactly_zero_covariance() -> None:
    images = pixels(9, 6)
    images[:, 2] = 17
    cov = estimate_moments([images]).cov()
    assert (cov[2] == 0).all()
    assert (cov[:, 2] == 0).all()
    assert (cov.diagonal()[[0, 1, 3, 4, 5]] > 0).all()


def test_covariance_is_symmetric_to_the_bit() -> None:
    cov = estimate_moments([pixels(30, 900)]).cov()
    assert torch.equal(cov, cov.T)


def test_progress_counts_images() -> None:
    assert [moments.count for moments in accumulate_moments(pixels(10, 2).split(4))] == [4, 8, 10]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_images_that_are_not_finite_are_refused(bad: float) -> None:
    images = values(5, 4)
    images[3, 1] = bad
    with pytest.raises(NonFinite, match="NaN or infinity"):
        estimate_moments(images.split(2))


def test_one_image_has_no_covariance() -> None:
    moments = estimate_moments([pixels(1, 4)])
    assert moments.mean().shape == (4,)
    with pytest.raises(BadInput, match="at least two images, got 1"):
        moments.cov()


def test_no_images_are_refused() -> None:
    with pytest.raises(BadInput, match="No images"):
        estimate_moments([])


def test_only_the_same_kind_merges() -> None:
    eight, real = estimate_moments([pixels(3, 4)]), estimate_moments([values(3, 4)])
    for other in (real, estimate_moments([pixels(3, 5)])):
        with pytest.raises(BadInput, match="same kind"):
            _ = eight + other


def test_inputs_are_not_changed() -> None:
    images = pixels(8, 5)
    before = images.clone()
    moments = estimate_moments([images])
    sums = moments.sums.clone()
    _ = moments + Moments(moments.count, moments.sums, moments.gram)
    assert torch.equal(images, before)
    assert torch.equal(moments.sums, sums)
