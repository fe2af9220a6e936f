"""Fewer images than coordinates: the Gram matrix gives the same filter as the covariance, without its null space."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from locality.denoisers import DENOISERS
from locality.denoisers.parts.blend import Unseeing
from locality.device import Compute
from locality.edits.spectrum import whitening
from locality.errors import BadInput, NonFinite, TooLarge
from locality.linear.budget import check_budget
from locality.linear.correlation import correlation_function, pixel_variance
from locality.linear.gram import decompose_images
from locality.linear.moments import estimate_moments
from locality.linear.planted import Planted
from locality.linear.spectrum import power_spectrum, share_above
from locality.linear.statistics import covariance_of, fit_filter, solved_rows
from locality.linear.wiener import WienerFilter
from locality.store import Store
from locality.studies import finish
from locality.types import ImageShape
from tests.small_sets import given

SHAPE = ImageShape(2, 5, 6)
SIGMAS = [0.01, 0.3, 5.0]


def images(n: int, *, floats: bool = False) -> torch.Tensor:
    generator = torch.Generator().manual_seed(n)
    mixed = torch.randn(n, SHAPE.d, generator=generator) @ torch.randn(SHAPE.d, SHAPE.d, generator=generator)
    pixels = (128 + 9 * mixed).clamp(0, 255).to(torch.uint8)
    pixels[:, 7] = 51  # one that never varies
    return pixels.float() / 127.5 - 1 if floats else pixels


def direct(data: torch.Tensor) -> WienerFilter:
    return WienerFilter.fit(estimate_moments([data]), SHAPE)


def by_gram(data: torch.Tensor) -> WienerFilter:
    return finish(decompose_images(data, SHAPE))


@pytest.mark.parametrize("floats", [False, True])
@pytest.mark.parametrize("n", [2, 17, 59])
@pytest.mark.parametrize("sigma", SIGMAS)
def test_rows_are_those_of_the_covariance(n: int, floats: bool, sigma: float) -> None:
    data = images(n, floats=floats)
    expected, found = direct(data), by_gram(data)
    assert len(found.eigvals) == n - 1
    assert found.count == n
    torch.testing.assert_close(found.mean, expected.mean, rtol=0, atol=1e-12)
    torch.testing.assert_close(found.eigvals, expected.eigvals[: n - 1], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(found.matrix(sigma), expected.matrix(sigma), rtol=0, atol=3e-6)
    torch.testing.assert_close(found.pixel_matrix(sigma), expected.pixel_matrix(sigma), rtol=0, atol=1e-5)
    assert found.expected_error(sigma) == pytest.approx(expected.expected_error(sigma), rel=1e-9)


def test_what_never_varies_has_rows_of_exact_zeros() -> None:
    for floats in (False, True):
        matrix = by_gram(images(17, floats=floats)).matrix(1e-3)
        assert (matrix[7] == 0).all()
        assert (matrix[:, 7] == 0).all()


def test_images_that_are_equal_have_no_variance() -> None:
    found = by_gram(torch.full((5, SHAPE.d), 51, dtype=torch.uint8))
    assert found.trace == 0
    assert (found.matrix(0.5) == 0).all()
    torch.testing.assert_close(found(torch.ones(1, SHAPE.d), 0.5), torch.full((1, SHAPE.d), 51 / 127.5 - 1))


def test_repeated_images_lower_the_rank() -> None:
    data = images(10)
    found = by_gram(torch.cat([data, data]))
    assert len(found.eigvals) == 9
    torch.testing.assert_close(found.matrix(0.3), direct(torch.cat([data, data])).matrix(0.3), rtol=0, atol=3e-6)


def test_one_image_and_values_that_are_none_are_refused() -> None:
    with pytest.raises(BadInput, match="needs at least two images, got 1"):
        by_gram(images(1))
    data = images(9, floats=True)
    data[3, 4] = float("nan")
    with pytest.raises(NonFinite):
        by_gram(data)


@pytest.mark.parametrize(("n", "columns"), [(20, 19), (60, 60)])
def test_the_way_is_chosen_by_the_number_of_images(tmp_path: Path, n: int, columns: int) -> None:
    found = finish(fit_filter(given(images(n), SHAPE), Compute(), Store(tmp_path)))
    assert found.eigvecs.shape == (SHAPE.d, columns)


def with_rest(data: torch.Tensor, rest: float) -> tuple[WienerFilter, WienerFilter]:
    """A filter of a few components and an isotropic rest, and the same covariance decomposed in full."""
    few = by_gram(data)
    part = WienerFilter(SHAPE, few.count, few.mean, few.eigvals, few.eigvecs, rest)
    cov = covariance_of(part).cov
    eigvals, eigvecs = torch.linalg.eigh(cov)
    return part, WienerFilter(SHAPE, few.count, few.mean, eigvals.flip(0), eigvecs.flip(1).float())


QUANTITIES: dict[str, Callable[[WienerFilter], torch.Tensor]] = {
    "matrix": lambda w: w.matrix(0.3),
    "rows": lambda w: w.rows(torch.tensor([4, 31]), 0.3),
    "projection": lambda w: w.projection_rows(torch.tensor([4, 31]), 0.1),
    "pixels": lambda w: w.pixel_matrix(0.3),
    "answer": lambda w: w(torch.linspace(-1, 1, 2 * SHAPE.d).reshape(2, -1), 0.3),
    "error": lambda w: torch.tensor(w.expected_error(0.3)),
    "trace": lambda w: torch.tensor(w.trace),
    "above": lambda w: torch.tensor(w.above_noise(0.1)),
    "share": lambda w: torch.tensor(share_above(w, 0.1)),
    "spectrum": power_spectrum,
    "variance": pixel_variance,
    "correlation": lambda w: correlation_function(w).value,
    "whitened": lambda w: whitening(w, 0.7)(torch.eye(SHAPE.d)),
    "left out": lambda w: Unseeing.of(w, images(17, floats=True)[:3])(torch.ones(2, SHAPE.d) * 0.1, 0.4),
    "planted": lambda w: planted(w).rows(torch.tensor([4, 31]), 0.4, 0.7),
    "along": lambda w: torch.tensor(planted(w).variance_along(0.7)),
    "shrunk": lambda w: DENOISERS["wiener"](shrinkage=0.3)._adjusted(w).matrix(0.4),  # type: ignore[attr-defined]
}


def planted(base: WienerFilter) -> Planted:
    pattern = torch.zeros(SHAPE.d, dtype=torch.float64)
    pattern[3:12] = 1.0
    return Planted(base, pattern, 0.01 * torch.arange(SHAPE.d).double().sin(), 0.9)


CASES = [(name, rest) for name in QUANTITIES for rest in (0.0, 0.02)]
CASES.remove(("whitened", 0.0))  # in directions without variance rounding decides what is amplified


@pytest.mark.parametrize(("name", "rest"), CASES)
def test_directions_outside_of_the_basis_count(name: str, rest: float) -> None:
    part, whole = with_rest(images(17), rest)
    measure = QUANTITIES[name]
    torch.testing.assert_close(measure(part), measure(whole), rtol=2e-5, atol=2e-5)


def test_draws_have_the_variance_of_the_rest() -> None:
    part, whole = with_rest(images(17), 0.3)
    draws = part.sample(40_000, torch.Generator().manual_seed(0)).double()
    cov = covariance_of(whole).cov
    assert (torch.cov(draws.T) - cov).abs().max() < 0.04 * cov.diagonal().max()


def test_a_rank_the_images_do_not_allow_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"rank=20: the images have 19 principal components\. Give 1\.\.19, or 0"):
        finish(DENOISERS["wiener"](rank=20).fit(given(images(20), SHAPE), Compute(), Store(tmp_path)))  # type: ignore[call-arg]


@pytest.mark.parametrize("n", [20, 70])
@pytest.mark.parametrize("sigma", SIGMAS)
def test_rows_by_a_solve_are_those_of_the_decomposition(tmp_path: Path, n: int, sigma: float) -> None:
    coords = torch.tensor([4, 7, 31])
    found = finish(solved_rows(given(images(n), SHAPE), coords, sigma, Compute(), Store(tmp_path)))
    torch.testing.assert_close(found, direct(images(n)).rows(coords, sigma), rtol=0, atol=3e-6)


@pytest.mark.parametrize(
    ("n", "shape", "budget", "fits"),
    [
        (
            30_000,
            ImageShape(3, 64, 64),
            5 * 10**9,
            "images of 60x60 or the first 8,192 of them (rank 8,191) or 128 leading components (--leading 128) "
            "or 2,048 of them, nearly (--approximate 2048) or one field at a time without it (field --solve)",
        ),
        (
            30_000,
            ImageShape(3, 64, 64),
            10**9,
            "images of 40x40 or the first 4,096 of them (rank 4,095) or 512 of them, nearly (--approximate 512)",
        ),
        (500, ImageShape(3, 64, 64), 10**6, "images of 7x7 or the first 8 of them (rank 7)"),
        (500, ImageShape(3, 64, 64), 10, "nothing"),
    ],
)
def test_a_decomposition_over_the_budget_is_refused_and_told_what_fits(
    n: int, shape: ImageShape, budget: int, fits: str
) -> None:
    with pytest.raises(TooLarge, match=re.escape(f"What fits: {fits}.")):
        check_budget(n, shape, Compute(decomposition=budget))


def test_a_decomposition_within_the_budget_is_not_refused() -> None:
    check_budget(4653, ImageShape(3, 64, 64), Compute(decomposition=2 * 10**9))
    check_budget(50_000, ImageShape(3, 32, 32), Compute(decomposition=10**9))


def test_the_budget_is_asked_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(TooLarge, match="The decomposition of 60 images of 2x5x6 needs"):
        finish(fit_filter(given(images(60), SHAPE), Compute(decomposition=1000), Store(tmp_path)))
