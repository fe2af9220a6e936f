"""Datasets that need no download: digits, photos and power-law noise, against independent answers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image

from locality.datasets import DATASETS
from locality.datasets import photos as photos_module
from locality.datasets.digits import Digits
from locality.datasets.parts.wheels import package_file
from locality.datasets.photos import Photos
from locality.datasets.power_law import PowerLaw
from locality.errors import BadInput, DataUnavailable
from tests.pictures import noise

# --- digits


def test_digits_are_scikit_learns_with_levels_rounded_to_8_bits() -> None:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pixels = [[round(v * 255 / 16) for v in image.astype(int).flat] for image in bunch.images]
    train = [i for i in range(1797) if i % 10]
    assert Digits().load("train").data.tolist() == [pixels[i] for i in train]
    assert Digits().load("test").data.tolist() == pixels[::10]
    assert Digits().load("train").labels.tolist() == bunch.target[train].tolist()


# --- photos


def test_shrinking_is_the_block_mean_rounded_half_up() -> None:
    pixels = noise(1, 11, 10, 3)
    small = photos_module._shrink(pixels, 3)
    assert small.shape == (3, 3, 3)
    for y, x, c in np.ndindex(3, 3, 3):
        block = [int(pixels[3 * y + i, 3 * x + j, c]) for i in range(3) for j in range(3)]
        assert small[y, x, c] == math.floor(sum(block) / 9 + 0.5)


def test_photo_crops_are_regions_of_their_own_splits_photographs() -> None:
    made = {split: {row.numpy().tobytes() for row in Photos().load(split).data} for split in ("train", "test")}
    for split, other, file in (
        ("train", "test", ("skimage", "data", "coffee.png")),
        ("test", "train", ("skimage", "data", "chelsea.png")),
    ):
        with Image.open(package_file(*file)) as photo:
            source = np.asarray(photo.convert("RGB")).astype(int)
        for top, left in ((0, 0), (24, 48), (72, 24)):  # at a quarter of the size: 128 source pixels a side
            region = source[top : top + 128, left : left + 128].reshape(32, 4, 32, 4, 3)
            crop = np.floor(region.mean(axis=(1, 3)) + 0.5).astype(np.uint8).transpose(2, 0, 1).tobytes()
            assert crop in made[split]
            assert crop not in made[other]


def test_photos_are_split_by_photograph() -> None:
    train, test = (set(photos_module._FILES[split]) for split in ("train", "test"))
    assert train
    assert test
    assert not train & test


def test_a_missing_package_file_says_how_to_get_it() -> None:
    with pytest.raises(DataUnavailable, match=r"data/nothing\.png of skimage is not installed: `pip install"):
        package_file("skimage", "data", "nothing.png")
    with pytest.raises(DataUnavailable, match="of no_such_package is not installed"):
        package_file("no_such_package", "a.png")


# --- power law


@pytest.mark.parametrize("a", [0.0, 1.0, 2.0, 3.5])
def test_covariance_is_the_cosine_series_of_the_spectrum(a: float) -> None:
    spec = PowerLaw(a=a, contrast=0.3)
    cov = spec.covariance()
    # The definition, term by term: P(k) = A / |k|^a, P(0) = A, with A set by the variance of a pixel.
    ks = [(ky, kx) for ky in range(-16, 16) for kx in range(-16, 16)]
    power = {k: (math.hypot(*k) or 1.0) ** -a for k in ks}
    scale = 0.3**2 / sum(power.values())
    for (y1, x1), (y2, x2) in [((0, 0), (0, 0)), ((3, 5), (30, 1)), ((31, 0), (0, 31)), ((7, 7), (7, 23))]:
        angle = 2 * math.pi / 32
        want = scale * sum(p * math.cos(angle * (ky * (y1 - y2) + kx * (x1 - x2))) for (ky, kx), p in power.items())
        assert cov[32 * y1 + x1, 32 * y2 + x2].item() == pytest.approx(want, rel=1e-9, abs=1e-12)


def test_waves_are_eigenvectors_with_the_spectrum_as_eigenvalues() -> None:
    spec = PowerLaw(a=1.5, contrast=0.5)
    cov, spectrum = spec.covariance(), spec.spectrum()
    y, x = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    for ky, kx in ((0, 0), (0, 1), (3, 30), (16, 16), (31, 5)):
        wave = torch.cos(2 * math.pi / 32 * (ky * y + kx * x).double() + 0.3).flatten()
        assert torch.allclose(cov @ wave, spectrum[ky, kx] * wave, rtol=1e-9, atol=1e-12)
    assert torch.allclose(cov, cov.T, rtol=0, atol=1e-15)
    assert torch.allclose(cov.diagonal(), torch.full((1024,), 0.25, dtype=torch.float64))


def test_white_noise_has_a_diagonal_covariance() -> None:
    cov = PowerLaw(a=0.0, contrast=0.5).covariance()
    assert torch.allclose(cov, 0.25 * torch.eye(1024, dtype=torch.float64), atol=1e-15)


def test_samples_have_the_exact_mean_spectrum_and_covariance() -> None:
    spec = PowerLaw(a=2.0, contrast=0.4, images=8000)
    x0 = spec.load("train").data.double()
    n = len(x0)
    # Five and a half standard errors of 1,024 (mean), 1,024 (power) and 1,024^2 (covariance) estimates.
    assert (x0.mean(dim=0) - spec.mean()).abs().max() < 5.5 * 0.4 / math.sqrt(n)
    power = torch.fft.fft2(x0.reshape(n, 32, 32)).abs().square().mean(dim=0) / 1024
    assert ((power / spec.spectrum() - 1).abs().max()) < 5.5 * math.sqrt(2 / n)
    cov = x0.T @ x0 / n
    assert (cov - spec.covariance()).abs().max() < 5.5 * 0.4**2 * math.sqrt(2 / n)


def test_more_images_begin_with_the_same_ones_and_seeds_differ() -> None:
    few, many = PowerLaw(images=30).load(), PowerLaw(images=1200).load()
    assert torch.equal(few.data, many.data[:30])
    assert not torch.equal(PowerLaw(images=30, seed=1).load().data, few.data)
    assert not torch.equal(PowerLaw(images=300).load("test").data, few.data)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("power_law:a=nan", r"power_law:a=nan is outside \[0, 4\]"),
        ("power_law:a=5", r"power_law:a=5.0 is outside \[0, 4\]"),
        ("power_law:contrast=0", "contrast=0.0 is outside"),
        ("power_law:images=3", "images=3 is outside"),
        ("power_law:seed=x", "seed='x' is not a whole number"),
        ("faces:variation=inf", "variation=inf is outside"),
        ("digits:size=3", "digits has no option 'size'"),
    ],
)
def test_bad_options_are_refused(text: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        DATASETS.parse(text)
