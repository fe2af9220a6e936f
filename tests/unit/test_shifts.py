"""els and bbels on 8-bit images, compiled: every shift of every image, against plain sums in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from locality.denoisers.bbels import BorderDenoiser
from locality.denoisers.els import EquivariantDenoiser
from locality.denoisers.parts.bank import Bank
from locality.denoisers.parts.shifts import memory, shift_posterior
from locality.denoisers.parts.windows import WindowSchedule
from locality.posterior import PosteriorMean
from locality.types import ImageShape
from locality.work import listening

SHAPE = ImageShape(3, 6, 7)
MODELS = {"els": EquivariantDenoiser, "bbels": BorderDenoiser}


def made(
    name: str, n: int, size: int, *, shape: ImageShape = SHAPE, flips: bool = False, room: int = 10**9
) -> EquivariantDenoiser:
    data = torch.randint(0, 256, (n, shape.d), generator=torch.Generator().manual_seed(n), dtype=torch.uint8)
    return MODELS[name](Bank(shape, data, torch.arange(n), flips, room), WindowSchedule((1.0,), (size,)))


def noisy(model: EquivariantDenoiser, count: int, sigma: float) -> Tensor:
    eps = torch.randn(count, model.shape.d, generator=torch.Generator().manual_seed(5))
    return (model.bank.whole()[torch.arange(count) % len(model.bank)] + sigma * eps).float()


def shifted(model: EquivariantDenoiser, x: Tensor, sigma: float, size: int) -> PosteriorMean:
    moves = model.moves(model.shape.h, size), model.moves(model.shape.w, size)
    return shift_posterior(model.bank, x, sigma, size, moves, model.around)


@pytest.mark.parametrize("sigma", [0.02, 0.3, 2.0, 80.0])
@pytest.mark.parametrize(
    ("name", "n", "b", "size", "flips"),
    [
        ("els", 1, 1, 3, False),  # one image: fifteen lanes are empty
        ("els", 17, 9, 5, True),  # a block of one image, more noisy ones than share a pass, mirrored ones
        ("els", 40, 2, 1, False),
        ("bbels", 1, 1, 3, False),
        ("bbels", 19, 3, 5, True),  # the largest window: nothing inside moves along the rows
        ("bbels", 40, 10, 3, False),
    ],
)
def test_all_shifts_equal_maps_in_float64(name: str, n: int, b: int, size: int, flips: bool, sigma: float) -> None:
    model = made(name, n, size, flips=flips)
    x = noisy(model, b, sigma)
    found, exact = shifted(model, x, sigma, size), model.by_shifts(x.double(), sigma, size)
    torch.testing.assert_close(found.mean(), exact.mean(), rtol=0, atol=2e-5)
    torch.testing.assert_close(found.log_weight(), exact.log_weight(), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("shape", [ImageShape(1, 9, 4), ImageShape(2, 4, 11), ImageShape(1, 3, 3)])
@pytest.mark.parametrize("name", ["els", "bbels"])
def test_images_that_are_not_square(name: str, shape: ImageShape) -> None:
    for size in (1, 3):
        model = made(name, 5, size, shape=shape)
        x = noisy(model, 2, 0.5)
        exact = model.by_shifts(x.double(), 0.5, size).mean()
        torch.testing.assert_close(shifted(model, x, 0.5, size).mean(), exact, rtol=0, atol=2e-5)


def test_far_away_images_have_their_nearest_patches() -> None:
    """Logits of -1e7 and less: weights are relative to the best so far, which changes many times."""
    model = made("els", 300, 3)
    x = noisy(model, 2, 0.0) * 0.9
    exact = model.by_shifts(x.double(), 1e-3, 3).mean()
    torch.testing.assert_close(shifted(model, x, 1e-3, 3).mean(), exact, rtol=0, atol=2e-4)


def test_threads_and_company_change_no_bit_and_beats_come() -> None:
    model, before, heard = made("els", 600, 3), torch.get_num_threads(), []
    x = noisy(model, 11, 0.5)
    try:
        torch.set_num_threads(1)
        first = shifted(model, x, 0.5, 3).mean()
        torch.set_num_threads(3)
        with listening(heard.append):
            assert torch.equal(shifted(model, x, 0.5, 3).mean(), first)
    finally:
        torch.set_num_threads(before)
    assert heard == sorted(heard)
    assert len(heard) >= 16
    assert heard[-1] == 1.0
    assert torch.equal(shifted(model, x[9:10], 0.5, 3).mean(), first[9:10])


def test_where_memory_is_short_maps_are_summed_one_by_one() -> None:
    """Less than the loop's arrays take: the same answer by the other way, nothing refused."""
    need = memory(SHAPE, 2)
    rich, poor = made("els", 20, 3, room=need), made("els", 20, 3, room=need - 1)
    x = noisy(rich, 2, 0.5)
    assert not torch.equal(rich(x, 0.5), poor(x, 0.5))  # rounded in another way: another way it was
    torch.testing.assert_close(rich(x, 0.5), poor(x, 0.5), rtol=0, atol=2e-4)
