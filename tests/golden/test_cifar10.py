"""Real images: reference values of CIFAR-10, and shipped statistics against covariances computed here.

The reference values are those of the first 10,000 training images, computed once with numpy.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import torch

import locality
from locality.dataset import Dataset
from locality.datasets import DATASETS
from locality.linear.moments import PixelMoments, estimate_moments
from locality.linear.statistics import KIND, store_key
from locality.linear.stored import unpack
from locality.linear.wiener import WienerFilter, coordinates
from locality.schedule import ddpm_grid
from locality.store import Store
from locality.types import Pixel

pytestmark = pytest.mark.timeout(600)  # an eigendecomposition of 3072 x 3072 on a busy machine
SHIPPED = Path(locality.__file__).parents[1] / "cache" / "shipped"


def images(name: str) -> Dataset:
    spec = DATASETS[name]()
    if spec.missing():
        pytest.skip(f"the {name} images are not under LOCALITY_DATA")
    return spec.load()


@pytest.fixture(scope="module")
def moments() -> PixelMoments:
    """Of the first 10,000 images, the chunks not dividing them."""
    found = estimate_moments(images("cifar10").first(10_000).chunks(4096))
    assert isinstance(found, PixelMoments)
    return found


@pytest.fixture(scope="module")
def wiener(moments: PixelMoments) -> WienerFilter:
    return WienerFilter.fit(moments, DATASETS["cifar10"]().shape)


def test_sums_have_no_error(moments: PixelMoments) -> None:
    """A block of the Gram matrix against int64 numpy, across the edge of the blocks it is made of."""
    pixels = images("cifar10").data[:10_000].numpy().astype(np.int64) - 128
    rows, cols = slice(760, 776), slice(1530, 1546)
    assert (moments.gram[rows, cols].numpy() == pixels[:, rows].T @ pixels[:, cols]).all()
    assert (moments.sums.numpy() == pixels.sum(axis=0)).all()


def test_largest_eigenvalue_and_trace(wiener: WienerFilter) -> None:
    assert float(wiener.eigvals[0]) == pytest.approx(224.7, abs=0.05)
    assert float(wiener.eigvals.sum()) == pytest.approx(766.2, abs=0.05)


@pytest.mark.parametrize(
    ("t", "trace", "digit"),
    [
        (900, 0.2, 0.05),
        (700, 3.9, 0.05),
        (600, 10.9, 0.05),
        (500, 25.4, 0.05),
        (400, 51.4, 0.05),
        (300, 96.3, 0.05),
        (200, 179, 0.5),
        (100, 379, 0.5),
        (0, 2295, 0.5),
    ],
)
def test_trace_of_the_filter_along_the_ddpm_grid(wiener: WienerFilter, t: int, trace: float, digit: float) -> None:
    sigma = ddpm_grid(10)[(900 - t) // 100]
    assert float(wiener.gain(sigma).sum()) == pytest.approx(trace, abs=digit)


def test_eigenvectors_are_orthonormal_and_rebuild_the_covariance(moments: PixelMoments, wiener: WienerFilter) -> None:
    """float32 eigenvectors: 1e-5 of the largest entry."""
    some = torch.arange(0, 3072, 97)
    vectors = wiener.eigvecs.double()
    torch.testing.assert_close(vectors[some] @ vectors.T, torch.eye(3072).double()[some], rtol=0, atol=1e-5)
    rebuilt = (vectors[some] * wiener.eigvals) @ vectors.T
    torch.testing.assert_close(rebuilt, moments.cov()[some], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["cifar10", "mnist", "fashion_mnist"])
def test_shipped_fields_equal_fields_computed_here(name: str, tmp_path: Path) -> None:
    """Rows by a Cholesky solve, no eigenvectors; int16 eigenvectors keep them to 1e-4 of their norm."""
    data = images(name)
    key = store_key(DATASETS[name].fingerprints["train"])
    artifact = Store(tmp_path, SHIPPED).get(KIND, key)
    assert artifact is not None, f"no statistics of {name} are shipped"
    shipped = unpack(artifact)
    cov = estimate_moments(data.chunks(8192)).cov().numpy()
    assert shipped.count == len(data)
    assert float(shipped.eigvals.sum()) == pytest.approx(np.trace(cov), rel=1e-9)
    h, w = data.shape.h, data.shape.w
    pixels = [Pixel(h // 2, w // 2), Pixel(h // 4, w // 3), Pixel(h - 8, 7)]
    coords = torch.cat([coordinates(data.shape, pixel) for pixel in pixels])
    for sigma in (0.1, 0.5, 2.0):
        noisy = cov.copy()
        noisy[np.diag_indices_from(noisy)] += sigma**2
        factor = scipy.linalg.cho_factor(noisy, overwrite_a=True, check_finite=False)
        want = scipy.linalg.cho_solve(factor, cov[:, coords.numpy()], check_finite=False).T
        error = np.linalg.norm(shipped.rows(coords, sigma).numpy() - want, axis=1)
        assert (error <= 1e-4 * np.linalg.norm(want, axis=1)).all(), (sigma, error)


def test_shipped_fields_of_constant_pixels_are_zero(tmp_path: Path) -> None:
    """67 pixels of MNIST are black in every training image: rounding must not be drawn as a field."""
    artifact = Store(tmp_path, SHIPPED).get(KIND, store_key(DATASETS["mnist"].fingerprints["train"]))
    assert artifact is not None
    shipped = unpack(artifact)
    corner = shipped.rows(torch.tensor([0, 27, 783]), 0.5)
    assert (corner == 0).all()
