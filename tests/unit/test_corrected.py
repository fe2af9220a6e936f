"""Agreement corrected for the noise of draws: in a world whose fields are known, and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from locality.errors import BadInput
from locality.fields.corrected import noise_of_mean, variance_weights
from locality.fields.similarity import Similarity, Tally
from locality.types import ImageShape, Pixel

SIDE, PIXELS, DRAWS = 20, 40, 16
RHO = 0.9  # of the true fields of the two noisy models
MODELS = ("exact", "noisy", "other")  # of the first the fields are known; the second's true ones are the same


def smooth(count: int, generator: torch.Generator, width: float) -> Tensor:
    """Random fields of mean 0 and length 1 whose neighbours are alike, [count, q]."""
    white = torch.randn(count, SIDE, SIDE, generator=generator, dtype=torch.float64)
    k2 = torch.fft.fftfreq(SIDE, dtype=torch.float64).square()
    low = torch.exp(-2 * (math.pi * width) ** 2 * (k2[:, None] + k2))
    flat = torch.fft.ifft2(torch.fft.fft2(white) * low).real.flatten(1)
    flat = flat - flat.mean(dim=1, keepdim=True)
    return flat / flat.norm(dim=1, keepdim=True)


def world(noise: float | Tensor, shared: float, seed: int = 0, draws: int = DRAWS) -> Tensor:
    """Fields [p k 3]: noise of so many times their length in each draw, of which the noisy models share a part."""
    generator = torch.Generator().manual_seed(seed)
    field, apart = smooth(PIXELS, generator, 1.0), smooth(PIXELS, generator, 1.0)
    apart = apart - (apart * field).sum(dim=1, keepdim=True) * field
    other = RHO * field + math.sqrt(1 - RHO**2) * apart / apart.norm(dim=1, keepdim=True)
    one, two = (smooth(PIXELS * draws, generator, 0.7).reshape(PIXELS, draws, -1) for _ in range(2))
    size = torch.as_tensor(noise, dtype=torch.float64).expand(PIXELS)[:, None, None]
    noisy = field[:, None] + size * one
    drawn = other[:, None] + size * (shared * one + math.sqrt(1 - shared**2) * two)
    return torch.stack([field[:, None].expand_as(noisy), noisy, drawn], dim=2)


def of(fields: Tensor, weights: Tensor | None = None) -> Similarity:
    made = Tally()
    made.add(fields, torch.zeros(len(fields), dtype=torch.int64), weights)
    return made.similarities()["pearson"]


TRUTH = torch.tensor([[1, 1, RHO], [1, 1, RHO], [RHO, RHO, 1]], dtype=torch.float64)
PAIRS = ((0, 1), (0, 2), (1, 2))


@pytest.mark.parametrize("shared", [0.0, 0.6])
@pytest.mark.parametrize("noise", [1.0, 2.0, 4.0])
def test_the_true_agreement_is_found(noise: float, shared: float) -> None:
    """Within three of the stated errors and a hundredth; without correction it is off by ten of them or more."""
    found = of(world(noise, shared))
    for pair in PAIRS:
        truth, error = float(TRUTH[pair]), float(found.stderr[pair])
        assert abs(float(found.value[pair]) - truth) < 3 * error + 0.01
        assert truth - float(found.plain[pair]) > 0.015 * min(noise, 2.0)


def test_pixels_of_unlike_noise() -> None:
    """Half of them nearly without, half with four times their field."""
    size = torch.where(torch.arange(PIXELS) % 2 == 0, 0.5, 4.0)
    found = of(world(size, 0.0))
    for pair in PAIRS:
        assert abs(float(found.value[pair] - TRUTH[pair])) < 3 * float(found.stderr[pair])
        assert float(TRUTH[pair] - found.plain[pair]) > 0.1


@pytest.mark.parametrize("noise", [0.0, 1.0, 2.0])
def test_reliability_is_the_share_of_the_field_in_what_is_averaged(noise: float) -> None:
    """c = 1 / (1 + noise^2 / K), as lengths go; 400 coordinates that are alike are about 100, each pixel's c +-2 %."""
    found = of(world(noise, 0.0)).reliability
    assert float(found[0]) == pytest.approx(1.0, abs=1e-12)
    assert found[1:].tolist() == pytest.approx([1 / (1 + noise**2 / DRAWS)] * 2, abs=0.02 if noise else 1e-12)


def test_errors_are_those_over_worlds_and_intervals_hold_the_truth() -> None:
    """Of 16 worlds the spread is known to a fifth; the bootstrap takes it larger rather than smaller."""
    every = [of(world(2.0, 0.3, seed)) for seed in range(16)]
    spread = torch.stack([one.value for one in every]).std(dim=0)
    stated = torch.stack([one.stderr for one in every]).mean(dim=0)
    inside = torch.stack([(one.low <= TRUTH) & (one.high >= TRUTH) for one in every]).double().mean(dim=0)
    for pair in PAIRS:
        assert 0.7 < float(stated[pair] / spread[pair]) < 2.5, pair
        assert float(inside[pair]) > 0.8, pair


def test_fields_without_noise_need_no_correction() -> None:
    found = of(world(0.0, 0.0))
    for item in (found.plain, found.value, found.low, found.high):
        torch.testing.assert_close(item, TRUTH, rtol=0, atol=1e-12)
    assert float(found.stderr.max()) < 1e-12


def test_dead_pixels_do_not_count_by_variance() -> None:
    """Where nothing varies a field has nothing to do with the prediction: weighed as others these pull every r down."""
    fields = world(1.0, 0.0)
    dead = torch.arange(PIXELS) < 15
    dead_fields = torch.where(dead[:, None, None, None], world(1.0, 0.0, seed=7), fields)
    dead_fields[:, :, 0] = fields[:, :, 0]
    variance = torch.zeros(1, SIDE, SIDE)
    places = [Pixel(i // SIDE, i % SIDE) for i in range(PIXELS)]
    variance.flatten()[:PIXELS] = torch.where(dead, 0.0, 1.0)
    share = variance_weights(variance.flatten(), places, ImageShape(1, SIDE, SIDE))
    weighed, alive = of(dead_fields, weights=share), of(fields[~dead])
    torch.testing.assert_close(weighed.value, alive.value, rtol=0, atol=1e-12)
    torch.testing.assert_close(weighed.low, alive.low, rtol=0, atol=1e-12)
    torch.testing.assert_close(weighed.chance, alive.chance, rtol=0, atol=1e-12)
    torch.testing.assert_close(weighed.reliability, alive.reliability, rtol=0, atol=1e-12)
    assert float(of(dead_fields).plain[0, 1]) < float(weighed.plain[0, 1]) - 0.2


def test_weights_by_hand() -> None:
    """Variances 1 and 3 in one channel, 1 and 0 in the other: 2 of 5 and 3 of 5."""
    variance = torch.tensor([1.0, 9.0, 3.0, 1.0, 9.0, 0.0])
    found = variance_weights(variance, [Pixel(0, 0), Pixel(0, 2)], ImageShape(2, 1, 3))
    assert found.tolist() == pytest.approx([0.4, 0.6], rel=1e-12)


def test_definitions_by_hand() -> None:
    """Two models, two pixels, five draws: the mean over all pairs of different draws written as loops."""
    fields = torch.randn(2, 5, 2, 9, generator=torch.Generator().manual_seed(0)) + 2 * torch.randn(
        2, 1, 1, 9, generator=torch.Generator().manual_seed(1)
    )
    pixels, x = ((0, 0.3, 4), (1, 0.7, 7)), fields.double().numpy()  # number, weight, centre

    def vectors(p: int, centre: int) -> np.ndarray:
        around = np.delete(x[p], centre, axis=2)
        return np.asarray(around - around.mean(axis=2, keepdims=True))

    def different(v: np.ndarray, a: int, b: int) -> float:
        lengths = [np.linalg.norm(v[:, m].mean(axis=0)) for m in (a, b)]
        products = [v[k, a] @ v[other, b] for k in range(5) for other in range(5) if k != other]
        return float(np.mean(products) / np.prod(lengths))

    across = scale = own = 0.0
    for p, w, c in pixels:
        v = vectors(p, c)
        across += w * different(v, 0, 1)
        scale += w * math.sqrt(different(v, 0, 0) * different(v, 1, 1))
        own += w * different(v, 0, 0)
    made = Tally()
    made.add(fields, torch.tensor([4, 7]), torch.tensor([0.3, 0.7], dtype=torch.float64))
    found = made.similarities()["off_centre"]
    assert float(found.value[0, 1]) == pytest.approx(across / scale, rel=1e-9)
    assert float(found.reliability[0]) == pytest.approx(own, rel=1e-9)


def test_pixels_without_a_field_are_left_out() -> None:
    fields = world(1.0, 0.0)
    broken = fields.clone()
    broken[3, :, 0] = 0.0
    found, rest = of(broken), of(fields[[p for p in range(PIXELS) if p != 3]])
    torch.testing.assert_close(found.value[0], rest.value[0], rtol=0, atol=1e-12)
    assert float(found.plain[1, 2]) == pytest.approx(float(of(fields).plain[1, 2]), abs=1e-12)
    broken[:, :, 0] = 0.0
    nothing = of(broken)
    assert nothing.plain[0].isnan().all()
    assert nothing.value[0].isnan().all()
    assert nothing.low[0].isnan().all()
    assert nothing.value[1, 2].isfinite()


def test_three_draws_are_too_few() -> None:
    with pytest.raises(BadInput, match="at least 4 draws, got 3"):
        of(world(1.0, 0.0, draws=3))


def test_the_noise_of_a_mean_is_that_which_was_added() -> None:
    """One field, white noise in every draw: over many repeats what is told is what is there; r without it is 1."""
    generator = torch.Generator().manual_seed(5)
    field, own = smooth(1, generator, 1.0)[0], 7
    field[own] = 3.0
    told, there, r = [], [], []
    for _ in range(200):
        noise = 0.2 * torch.randn(DRAWS, SIDE * SIDE, generator=generator, dtype=torch.float64)
        every, without = noise_of_mean(field + noise, own)
        told.append((every, without))
        kept = torch.arange(SIDE * SIDE) != own
        added = noise.mean(dim=0)
        there.append([float((part - part.mean()).square().sum()) for part in (added, added[kept])])
        mean = (field + noise).mean(dim=0)[kept]
        length = float((mean - mean.mean()).square().sum())
        r.append(float(torch.corrcoef(torch.stack([mean, field[kept]]))[0, 1]) / math.sqrt(1 - without / length))
    np.testing.assert_allclose(np.mean(told, axis=0), np.mean(there, axis=0), rtol=0.02)
    assert np.mean(r) == pytest.approx(1.0, abs=0.02)
    assert all(math.isnan(value) for value in noise_of_mean(field[None], own))
