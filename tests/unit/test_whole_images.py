"""Compiled loops over whole 8-bit images, and distances of a clicked pixel: against float64 sums written out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from locality.denoisers import nearest
from locality.denoisers.nearest import NearestDenoiser
from locality.denoisers.optimal import OptimalDenoiser
from locality.denoisers.parts.bank import Bank
from locality.denoisers.parts.distances import half_size_distances, squared_distances
from locality.denoisers.parts.evidence import masked_logits
from locality.denoisers.parts.patch_sums import patch_mean
from locality.denoisers.parts.whole import whole_posterior
from locality.denoisers.parts.windows import WindowSchedule
from locality.denoisers.pspc_square import SquarePatchesDenoiser
from locality.errors import TooLarge
from locality.types import ImageShape
from locality.work import listening

SHAPE = ImageShape(3, 6, 7)


def bank_of(n: int, *, flips: bool = False, memory: int = 10**9) -> Bank:
    data = torch.randint(0, 256, (n, SHAPE.d), generator=torch.Generator().manual_seed(n), dtype=torch.uint8)
    return Bank(SHAPE, data, torch.arange(n), flips, memory)


def noisy(bank: Bank, count: int, sigma: float) -> Tensor:
    eps = torch.randn(count, SHAPE.d, generator=torch.Generator().manual_seed(5))
    return (bank.whole()[torch.arange(count) % len(bank)] + sigma * eps).float()


def exact(bank: Bank, x: Tensor, noise: float) -> Tensor:
    far = (x.double()[:, None] - bank.whole()).square().sum(dim=2)
    return torch.softmax(-far / (2 * noise**2), dim=1) @ bank.whole()


@pytest.mark.parametrize("sigma", [0.01, 1.0, 5.0, 50.0])
@pytest.mark.parametrize(("n", "b", "flips"), [(1, 1, False), (7, 5, True), (2100, 9, False), (1100, 70, True)])
def test_averages_of_whole_images(n: int, b: int, flips: bool, sigma: float) -> None:
    """Numbers of images that four, parts and mirrored ones do not divide; more noisy ones than share a pass."""
    bank = bank_of(n, flips=flips)
    x = noisy(bank, b, sigma)
    found = whole_posterior(bank, x, sigma).mean().to(x)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), exact(bank, x, sigma), rtol=0, atol=2e-5)


def test_threads_change_no_bit_and_beats_come() -> None:
    bank, before, heard = bank_of(4500), torch.get_num_threads(), []
    x = noisy(bank, 65, 5.0)
    try:
        torch.set_num_threads(1)
        first = whole_posterior(bank, x, 5.0).mean()
        torch.set_num_threads(3)
        with listening(heard.append):
            assert torch.equal(whole_posterior(bank, x, 5.0).mean(), first)
    finally:
        torch.set_num_threads(before)
    assert heard == [pytest.approx(k / 6) for k in range(1, 7)]  # three parts for 64 noisy images, three for one


def test_a_budget_below_its_arrays_streams_in_small_chunks() -> None:
    x = noisy(bank_of(300), 3, 1.0)
    usual = OptimalDenoiser(bank_of(300))(x, 1.0)
    torch.testing.assert_close(OptimalDenoiser(bank_of(300, memory=20_000))(x, 1.0), usual, rtol=0, atol=1e-4)
    with pytest.raises(TooLarge):
        OptimalDenoiser(bank_of(300, memory=100))(x, 1.0)


@pytest.mark.parametrize("columns", [[5], [0, 3, 125], list(range(0, 126, 2)), list(range(126))])
@pytest.mark.parametrize("flips", [False, True])
def test_distances_over_some_coordinates(columns: list[int], flips: bool) -> None:
    """Fetched one by one where they are few, else all with weights."""
    bank, coords = bank_of(1500, flips=flips), torch.tensor(columns)
    x = noisy(bank, 1, 1.0)[0]
    far = (x.double() - bank.whole())[:, coords].square().sum(dim=1)
    torch.testing.assert_close(squared_distances(bank.data, x[coords], coords), far[:1500], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(masked_logits(bank, x, coords, 0.3), -0.3 * far, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [ImageShape(1, 4, 6), ImageShape(2, 5, 7), ImageShape(3, 1, 1)])
def test_distances_at_half_size(shape: ImageShape) -> None:
    """Means over 2 x 2 pixels, over fewer at the ends of odd sides."""
    data = (256 * torch.rand(1100, shape.d, generator=torch.Generator().manual_seed(1))).to(torch.uint8)

    def half(images: Tensor) -> Tensor:
        return torch.nn.functional.avg_pool2d(images.reshape(-1, *shape), 2, ceil_mode=True).flatten(1)

    x = half(torch.randn(3, shape.d, generator=torch.Generator().manual_seed(2), dtype=torch.float64))
    far = (x[:, None] - half(data.double() / 127.5 - 1.0)).square().sum(dim=2)
    torch.testing.assert_close(half_size_distances(data, shape, x), far, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("sigma", [0.05, 1.0, 80.0])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 6])
@pytest.mark.parametrize(("n", "b", "flips"), [(1, 1, False), (37, 3, True), (1100, 9, False)])
def test_averages_of_square_patches(n: int, b: int, flips: bool, size: int, sigma: float) -> None:
    """Against the same model in float64, by sums of maps: lanes without an image, more noisy ones than share a pass."""
    bank = bank_of(n, flips=flips)
    x = noisy(bank, b, sigma)
    expected = SquarePatchesDenoiser(bank, WindowSchedule((1.0,), (size,)))(x.double(), sigma)
    found = patch_mean(bank, x, size, sigma)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=2e-5)


def test_the_first_pass_over_square_patches_is_told_as_the_quicker_one() -> None:
    """It takes about a third of the time: from its pace alone the whole is known within a quarter or so."""
    bank, heard = bank_of(2000), []
    with listening(heard.append):
        patch_mean(bank, noisy(bank, 2, 1.0), 3, 1.0)
    assert heard == [pytest.approx(share) for share in (0.16, 0.32, 0.66, 1.0)]


@pytest.mark.parametrize("way", ["_screened", "_compared"])
@pytest.mark.parametrize("far", [1.0, 80.0, 1e4, 1e37])
def test_the_nearest_of_images_that_float32_cannot_tell_apart(
    far: float, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One grey level in one pixel decides, which a distance of that size has no room for; the first of those alike."""
    monkeypatch.setattr(nearest, "_nearest_of", getattr(nearest, way))  # the second is an accelerator's
    base = torch.full((1, SHAPE.d), 100, dtype=torch.uint8).repeat(500, 1)
    levels = torch.randint(90, 110, (500,), generator=torch.Generator().manual_seed(3))
    base[:, 5] = levels.to(torch.uint8)
    bank = Bank(SHAPE, base, torch.arange(500), False, 10**9)
    x = torch.full((2, SHAPE.d), far)
    x[0, 5], x[1, 5] = bank.whole()[:, 5].max(), bank.whole()[:, 5].min()
    found = NearestDenoiser(bank)._nearest(x)
    if far < 1e8:  # beyond, float64 cannot tell them apart either: nothing but an answer is asked for
        assert found.tolist() == [int((levels == wanted).nonzero()[0]) for wanted in (levels.max(), levels.min())]
    assert torch.isfinite(NearestDenoiser(bank)(x, 1.0)).all()
