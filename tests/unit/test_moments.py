"""Mean and covariance: against naive loops and integers, for any chunks, merged or whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from locality.errors import BadInput, NonFinite
from locality.linear.integers import _product_by_floats, integer_product
from locality.linear.moments import (
    PixelMoments,
    ValueMoments,
    accumulate_moments,
    estimate_moments,
)


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
    assert isinstance(moments, PixelMoments)
    assert moments.count == 37
    assert moments.sums.dtype == moments.gram.dtype == torch.int64
    assert (moments.sums.numpy() == shifted.sum(axis=0)).all()
    assert (np.triu(moments.gram.numpy()) == np.triu(shifted.T @ shifted)).all()


def test_extreme_pixels_stay_exact() -> None:
    """All-black images reach the largest product, 128^2, in every entry; 140,000 of them leave int32."""
    images = torch.zeros(140_000, 2, dtype=torch.uint8)
    images[0] = 255
    moments = estimate_moments([images])
    assert isinstance(moments, PixelMoments)
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
    monkeypatch.setattr("locality.linear.integers.fast_integers", lambda kind: fast)
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
    """A large common offset leaves float32 sums without a digit: variance 1 at mean 1000, 4,000 images.

    Both sides sum about a mean known to 1e-13: of 4,000 squares of order one 1e-12 is rounding.
    """
    images = values(4000, 3) / 0.3 + 1000.0
    moments = estimate_moments(images.split(1000))
    assert moments.cov().dtype == moments.mean().dtype == torch.float64
    np.testing.assert_allclose(moments.cov().numpy(), np.cov(images.double().numpy().T), rtol=0, atol=1e-11)


def offset_images(count: int, d: int, offset: float, seed: int = 0) -> tuple[Tensor, np.ndarray]:
    """Float32 images of variance about 1 far from 0 and their covariance, by whole numbers of sixteenths: no rounding.

    Float32 holds sixteenths up to 2^20.
    """
    sixteenths = np.random.Generator(np.random.PCG64(seed)).integers(-28, 29, (count, d)).cumsum(axis=1) % 57 - 28
    whole = sixteenths.astype(object)
    gram, sums = whole.T @ whole, whole.sum(axis=0)
    exact = (count * gram - np.outer(sums, sums)).astype(float) / (count * (count - 1) * 256)
    return torch.from_numpy(sixteenths / 16 + offset).float(), exact


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e4, 3e4, 1e6])
@pytest.mark.parametrize("size", [1, 7, 100, 300])
def test_a_mean_far_from_0_costs_no_digit(offset: float, size: int) -> None:
    """Chunks of any size. The mean of a chunk is off by 1e-16 of the offset, which enters to first order at most.

    The mean itself is rounded once a chunk: 300 times 1.1e-16.
    """
    images, exact = offset_images(300, 5, offset)
    moments = estimate_moments(images.split(size))
    np.testing.assert_allclose(moments.cov().numpy(), exact, rtol=0, atol=max(1e-13, 1e-15 * offset))
    mean = images.double().mean(dim=0)
    torch.testing.assert_close(moments.mean(), mean, rtol=4e-14, atol=4e-14)


def test_parts_far_from_each_other_merge_in_any_order() -> None:
    """Each about its own mean: one around 0, one of three images around 1e6, one around -30; against whole numbers."""
    parts = [offset_images(n, 4, offset, seed)[0] for seed, (n, offset) in enumerate([(50, 0), (3, 1e6), (70, -30)])]
    whole = (torch.cat(parts).double().numpy() * 16).astype(int).astype(object)
    n, sums = len(whole), whole.sum(axis=0)
    exact = (n * (whole.T @ whole) - np.outer(sums, sums)).astype(float) / (n * (n - 1) * 256)
    one, two, three = (estimate_moments(part.split(9)) for part in parts)
    for moments in (one + two + three, one + (two + three), three + one + two, estimate_moments(parts)):
        assert moments.count == n
        np.testing.assert_allclose(moments.cov().numpy(), exact, rtol=1e-13, atol=0)
    assert one.count == 50  # merging left the parts alone
    torch.testing.assert_close(one.mean(), parts[0].double().mean(dim=0), rtol=0, atol=1e-14)


def test_wide_float_images_fill_every_block() -> None:
    images = values(20, 801)
    torch.testing.assert_close(estimate_moments(images.split(6)).cov(), images.double().T.cov(), rtol=0, atol=1e-13)


def test_constant_float_pixels_have_exactly_zero_covariance() -> None:
    """0.1 is no float: a mean of nine of it would be another number."""
    images = values(9, 6)
    images[:, 2] = 0.1
    for size in (2, 9):
        cov = estimate_moments(images.split(size)).cov()
        assert (cov[2] == 0).all()
        assert (cov[:, 2] == 0).all()


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
    for images in (pixels(8, 5), values(8, 5).double()):
        before = images.clone()
        moments = estimate_moments([images])
        mean, cov = moments.mean().clone(), moments.cov()
        _ = moments + moments
        assert torch.equal(images, before)
        assert torch.equal(moments.mean(), mean)
        assert torch.equal(moments.cov(), cov)


def test_no_more_images_change_nothing() -> None:
    images = values(8, 5)
    moments = estimate_moments([images[:0], images, images[:0]])
    assert moments.count == 8
    assert isinstance(moments, ValueMoments)
    torch.testing.assert_close(moments.cov(), images.double().T.cov(), rtol=0, atol=1e-14)
