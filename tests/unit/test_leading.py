"""The leading components: close to those of the full decomposition, no value of a row further off than is stated."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from locality.dataset import Dataset, Images, InMemory
from locality.device import Compute
from locality.errors import BadInput, TooLarge
from locality.linear import statistics
from locality.linear.budget import check_budget
from locality.linear.leading import lead
from locality.linear.moments import estimate_moments
from locality.linear.statistics import fit_filter
from locality.linear.stored import is_approximate, pack, unpack
from locality.linear.wiener import WienerFilter
from locality.store import Store
from locality.studies import finish
from locality.types import ImageShape
from tests.shell import Shell, refused

SHAPE = ImageShape(3, 6, 5)


def images(count: int = 400, fall: float = 1.5, floor: float = 0.5) -> torch.Tensor:
    """Pixels with a spectrum that falls as a power, mixed by a rotation."""
    generator = torch.Generator().manual_seed(1)
    turn = torch.linalg.qr(torch.randn(SHAPE.d, SHAPE.d, generator=generator)).Q
    scale = 60 * torch.arange(1, SHAPE.d + 1) ** (-fall / 2) + floor
    pixels = (128 + torch.randn(count, SHAPE.d, generator=generator) * scale @ turn).clamp(0, 255).to(torch.uint8)
    pixels[:, 7] = 51  # one that never varies
    return pixels


def both(rank: int, data: torch.Tensor) -> tuple[WienerFilter, WienerFilter]:
    moments = estimate_moments([data])
    exact = WienerFilter.fit(moments, SHAPE)
    return exact, finish(lead(moments.count, moments.mean(), moments.cov(), SHAPE, rank))


def summed(rows: torch.Tensor) -> torch.Tensor:
    hw = SHAPE.h * SHAPE.w
    return rows.reshape(3, hw, 3, hw).sum(dim=(0, 2))


@pytest.mark.parametrize("rank", [40, 60, 80])
@pytest.mark.parametrize("fall", [2.0, 3.0, 4.0])
def test_no_row_is_further_off_than_stated(rank: int, fall: float) -> None:
    exact, found = both(rank, images(fall=fall))
    stated = found.error
    assert stated is not None
    assert "proven" in stated.about
    for sigma in stated.sigma * 1.17 ** torch.arange(0.0, 40.0):
        if float(sigma) > 100:
            break
        true, near = exact.matrix(float(sigma)), found.matrix(float(sigma))
        for limit, a, b in ((stated.row, true, near), (stated.field, summed(true), summed(near))):
            size = a.abs().amax(dim=1)
            off = (b - a).abs().amax(dim=1)[size > 0] / size[size > 0]
            assert float(off.max()) <= limit + 1e-5


def test_the_bound_is_no_guess_far_above_the_truth() -> None:
    exact, found = both(60, images(fall=4.0, floor=0.0))
    assert found.error is not None
    sigma = found.error.sigma
    true, near = summed(exact.matrix(sigma)), summed(found.matrix(sigma))
    off = float(((near - true).abs().amax(dim=1) / true.abs().amax(dim=1).clamp(min=1e-30)).max())
    assert found.error.field < 25 * off


def test_components_are_those_of_the_full_decomposition() -> None:
    exact, found = both(40, images(fall=3.0))
    torch.testing.assert_close(found.eigvals, exact.eigvals[:40], rtol=2e-3, atol=0)
    torch.testing.assert_close(found.trace, exact.trace)
    turned = (found.eigvecs[:, :10].T @ exact.eigvecs[:, :10]).abs()
    torch.testing.assert_close(turned, torch.eye(10), rtol=0, atol=0.02)


def test_more_components_promise_more() -> None:
    found = [both(rank, images(fall=4.0, floor=0.0))[1].error for rank in (30, 50, 80)]
    reach = [error.sigma for error in found if error is not None]
    assert reach[0] > reach[1] > reach[2]


@pytest.mark.parametrize("directions", [5, 20, 60])
def test_images_of_few_directions(directions: int) -> None:
    """More components than there are: the rest has nothing to filter for."""
    generator = torch.Generator().manual_seed(2)
    mixed = torch.randn(200, directions, generator=generator) @ torch.randn(directions, SHAPE.d, generator=generator)
    exact, found = both(70, (128 + 20 * mixed / directions**0.5).clamp(0, 255).round().to(torch.float32))
    torch.testing.assert_close(found.matrix(3.0), exact.matrix(3.0), rtol=0, atol=0.02)


@pytest.mark.parametrize("rank", [0, -3, 90, 1000])
def test_a_rank_out_of_range_is_refused(rank: int) -> None:
    with pytest.raises(BadInput, match="give 1 to 89"):
        both(rank, images())


def test_a_basis_that_promises_nothing_is_refused() -> None:
    with pytest.raises(BadInput, match="Ask for more"):
        both(1, images(fall=0.0))


def test_packed_with_what_is_stated() -> None:
    found = both(40, images(fall=3.0))[1]
    artifact = pack(found, compact=False)
    again = unpack(artifact)
    assert is_approximate(artifact)
    assert again.error == found.error
    assert again.rest == found.rest
    assert torch.equal(again.matrix(0.7), found.matrix(0.7))


def as_images(data: torch.Tensor) -> Images:
    return InMemory(Dataset("mixed", "train", SHAPE, data))


def test_taken_of_large_images_unless_all_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    monkeypatch.setattr(statistics, "LARGE", 89)
    monkeypatch.setattr(statistics, "RANK", 30)
    data = as_images(images())
    some = finish(fit_filter(data, Compute(), store))
    assert len(some.eigvals) == 30
    assert some.error is not None
    whole = finish(fit_filter(data, Compute(), store, exact=True))
    assert whole.error is None
    assert len(whole.eigvals) == 90
    assert len(finish(fit_filter(data, Compute(), store)).eigvals) == 30  # each is kept for itself
    monkeypatch.setattr(statistics, "RANK", 1)  # of which nothing can be promised
    (tmp_path / "other").mkdir()
    assert len(finish(fit_filter(data, Compute(), Store(tmp_path / "other"))).eigvals) == 90
    asked = finish(fit_filter(data, Compute(), store, leading=70))
    assert len(asked.eigvals) == 70


def test_what_cannot_be_asked_for_is_said(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(BadInput, match="one of them"):
        finish(fit_filter(as_images(images()), Compute(), store, exact=True, leading=3))
    with pytest.raises(BadInput, match="leave the number of leading ones out"):
        finish(fit_filter(as_images(images(40)), Compute(), store, leading=3))


def test_memory_too_small_for_all_names_how_many_fit() -> None:
    shape = ImageShape(3, 64, 64)
    with pytest.raises(TooLarge, match=r"1,024 leading components \(--leading 1024\)"):
        check_budget(50_000, shape, Compute(decomposition=32 * shape.d**2 + 64 * shape.d * 1024))


def test_the_command_states_the_error(shell: Shell) -> None:
    told = shell("stats", "power_law", "--first", 2000, "--leading", 500, "--json").json
    assert told["components"] == 500
    assert told["error"]["field"] > 0
    assert "Ask for more" in refused(
        shell("field", "digits", "--pixel", "4,4", "--sigma", 1, "--leading", 40, "--out", "x.npz")
    )
