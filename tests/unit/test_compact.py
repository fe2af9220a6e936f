"""Compact bases: within their tolerance of the exact rows, smaller, found under the same key, and said to be such."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from locality.device import Compute
from locality.errors import BadInput
from locality.linear.compact import Tolerance, is_compact, measure_error, pack_compact, unpack_compact
from locality.linear.gram import decompose_images
from locality.linear.statistics import KIND, fit_filter, store_key
from locality.linear.stored import pack
from locality.linear.wiener import WienerFilter
from locality.store import Store
from locality.store.artifact import encode
from locality.studies import finish
from locality.types import ImageShape
from tests.small_sets import given

COLOUR, GREY = ImageShape(3, 12, 10), ImageShape(1, 9, 8)


def smooth(shape: ImageShape, n: int) -> torch.Tensor:
    """Images with the falling spectrum and the like colours of photographs."""
    generator = torch.Generator().manual_seed(n)
    white = torch.randn(n, 1, 4 * shape.h, 4 * shape.w, generator=generator) + 0.3 * torch.randn(
        n, shape.c, 4 * shape.h, 4 * shape.w, generator=generator
    )
    blurred = torch.nn.functional.avg_pool2d(white, 9, 1, 4)[:, :, : shape.h, : shape.w]
    return (128 + 300 * blurred).clamp(0, 255).to(torch.uint8).flatten(1)


def fitted(shape: ImageShape, n: int) -> WienerFilter:
    return finish(decompose_images(smooth(shape, n), shape))


@pytest.mark.parametrize(("shape", "n"), [(COLOUR, 120), (GREY, 40), (GREY, 2)])
@pytest.mark.parametrize("tolerance", [Tolerance(1e-3, 4e-3), Tolerance(1e-2, 5e-2, sigma=0.5)])
def test_rows_are_within_the_tolerance_and_what_is_said_is_so(shape: ImageShape, n: int, tolerance: Tolerance) -> None:
    """Against every exact row at levels between those it was measured at; twice what is said of a sample of rows."""
    exact = fitted(shape, n)
    near = unpack_compact(pack_compact(exact, tolerance))
    assert near.error is not None
    assert near.error.field <= tolerance.field
    assert near.error.row <= tolerance.row
    for sigma in (tolerance.sigma, 1.3 * tolerance.sigma, 7 * tolerance.sigma, 300 * tolerance.sigma):
        for true, found, most in (
            (exact.matrix(sigma), near.matrix(sigma), near.error.row),
            (exact.pixel_matrix(sigma), near.pixel_matrix(sigma), near.error.field),
        ):
            size = true.abs().amax(1)
            assert ((found - true).abs().amax(1) <= 2 * most * size).all()  # a row of zeros stays one
    assert torch.equal(near.eigvals, exact.eigvals)
    assert torch.equal(near.mean, exact.mean)
    assert near.count == n


def test_a_coarser_tolerance_is_smaller_and_both_are_smaller_than_16_bits() -> None:
    exact = fitted(COLOUR, 200)
    sizes = [
        len(encode(pack_compact(exact, tolerance))) for tolerance in (Tolerance(1e-3, 4e-3), Tolerance(1e-2, 4e-2))
    ]
    assert sizes[1] < sizes[0] < len(encode(pack(exact, compact=True)))


def test_the_error_is_the_largest_of_the_rows() -> None:
    exact = fitted(GREY, 40)
    assert measure_error(exact, exact, 0.1).row == 0
    moved = exact.eigvecs.clone()
    moved[0] *= 1.5
    near = WienerFilter(GREY, 40, exact.mean, exact.eigvals, moved)
    assert measure_error(exact, near, 0.1).row > 0.5


@pytest.mark.parametrize(("field", "row"), [(0.0, 0.1), (0.01, 0.001), (0.01, 0.5), (float("nan"), 0.1)])
def test_tolerances_that_are_none_are_refused(field: float, row: float) -> None:
    with pytest.raises(BadInput, match=r"give 1e-4 to 0\.1"):
        Tolerance(field, row)


def test_a_shipped_compact_basis_serves_and_exact_does_without(tmp_path: Path) -> None:
    images, store = given(smooth(COLOUR, 50), COLOUR, name="given"), Store(tmp_path / "local", tmp_path / "shipped")
    exact = finish(fit_filter(images, Compute(), Store(tmp_path / "other")))
    artifact = pack_compact(exact, Tolerance(0.01, 0.01))
    store.ship("given", KIND, store_key(images.fingerprint), artifact, {})
    assert is_compact(artifact)
    served = finish(fit_filter(images, Compute(), store))
    assert served.error is not None
    assert "fields are within" in str(served.error)
    for _ in range(2):  # made, then read back
        whole = finish(fit_filter(images, Compute(), store, exact=True))
        assert whole.error is None
        assert torch.equal(whole.eigvecs, exact.eigvecs)
    assert finish(fit_filter(images, Compute(), store)).error is not None
