"""Ambient training: its loss in closed form, noise fixed once, and nothing changed where the option is off."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from locality.dataset import Dataset
from locality.errors import BadInput
from locality.networks import Training, TrainSpec
from locality.networks.training.ambient import ambient_pair, fixed_noise, plain_pair
from locality.networks.training.batch import draw_batch
from locality.networks.unet import UNet
from locality.sampler import start_noise
from locality.types import ImageShape

SHAPE = ImageShape(1, 4, 6)
TINY = UNet(channels=(16, 16), groups=8)
BEFORE = ("name", "batch", "rate", "warmup", "flips", "ema", "ln_mean", "ln_std", "uniform", "bfloat16", "seed")


def rand(*size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


def test_the_best_network_is_the_clean_posterior_mean() -> None:
    """Gaussian data of deviation s: the regression of the goal on x has slope (1 - r) s^2 / (s^2 + sigma^2)."""
    n, s, level = 400_000, 0.7, 0.5
    for k, value in enumerate((0.3, 0.5001, 0.8, 3.0)):
        sigma = torch.full((n,), value)
        x, goal, keep = ambient_pair(
            s * rand(n, 1, seed=k), rand(n, 1, seed=10 + k), sigma, rand(n, 1, seed=20 + k), level
        )
        assert float(x.var()) == pytest.approx(s**2 + value**2, rel=0.01)
        slope = float((x * goal).sum() / x.square().sum())
        spread = float((goal - slope * x).std()) / float(x.square().sum()) ** 0.5
        assert slope == pytest.approx(float(keep[0]) * s**2 / (s**2 + value**2), abs=5 * spread + 1e-6)


def test_the_loss_is_that_of_the_papers() -> None:
    """|(1 - r) D + r x - x_n|^2 above the level and |D - x0|^2 below it, written out image by image."""
    x0, z, eps, guess = (rand(6, 5, seed=seed) for seed in range(4))
    sigma, level = torch.tensor([0.1, 0.49, 0.5, 0.6, 2.0, 40.0]), 0.5
    x, goal, keep = ambient_pair(x0, z, sigma, eps, level)
    for i in range(6):
        s = float(sigma[i])
        if s < level:
            noisy, wanted = x0[i] + s * eps[i], guess[i] - x0[i]
        else:
            noised, r = x0[i] + level * z[i], (level / s) ** 2
            noisy = noised + (s**2 - level**2) ** 0.5 * eps[i]
            wanted = (1 - r) * guess[i] + r * noisy - noised
        torch.testing.assert_close(x[i], noisy)
        torch.testing.assert_close(keep[i] * guess[i] - goal[i], wanted)


def test_above_the_level_the_clean_image_is_never_met() -> None:
    """Whatever is drawn, what the batch holds depends on the clean image through its one noisy copy alone."""
    x0, z, shift = rand(8, 5), rand(8, 5, seed=1), rand(8, 5, seed=2)
    sigma, eps = torch.linspace(0.5, 9.0, 8), rand(8, 5, seed=3)
    one = ambient_pair(x0, z, sigma, eps, 0.5)
    other = ambient_pair(x0 + 0.5 * shift, z - shift, sigma, eps, 0.5)  # another image with the same noisy copy
    for ours, theirs in zip(one, other, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_below_the_level_nothing_changes() -> None:
    x0, z, eps, sigma = rand(4, 5), rand(4, 5, seed=1), rand(4, 5, seed=2), torch.tensor([0.01, 0.1, 0.3, 0.49])
    for ours, plain in zip(ambient_pair(x0, z, sigma, eps, 0.5), plain_pair(x0, sigma, eps), strict=True):
        assert torch.equal(ours, plain)


def test_noise_is_fixed_by_image() -> None:
    rows = torch.tensor([3, 0, 41, 3])
    z = fixed_noise(rows, 24, seed=5)
    assert torch.equal(z[0], z[3])
    assert torch.equal(z[1:2], fixed_noise(rows[1:2], 24, seed=5))
    assert not torch.equal(z, fixed_noise(rows, 24, seed=6))
    many = fixed_noise(torch.arange(500), 24, seed=0)
    assert float(many.mean()) == pytest.approx(0.0, abs=0.04)
    assert float(many.std()) == pytest.approx(1.0, abs=0.04)
    start = start_noise(SHAPE, 500, seed=0)
    assert abs(float((many * start).mean())) < 0.04  # sampling starts elsewhere


def drawing(folder: Path, train: TrainSpec) -> Training:
    pixels = torch.randint(256, (3, SHAPE.d), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return Training(Dataset("made", "train", SHAPE, pixels), TINY, train, folder)


def test_a_training_sees_one_copy_of_each_image_and_its_mirror_image(tmp_path: Path) -> None:
    """The noisy copies read back from a batch are those of three images, each as it is or mirrored as a whole."""
    level = 0.4
    train = TrainSpec(batch=256, flips=True, ambient=level, uniform=0.0, ln_mean=1.0, ln_std=0.1)
    started = drawing(tmp_path, train)
    (x, goal, keep), sigma = draw_batch(started.dataset, started.train, started._generator)
    assert bool((sigma > level).all())
    copies = goal + (1 - keep[:, None]) * x
    known = started.dataset.x0(slice(None)) + level * fixed_noise(torch.arange(3), SHAPE.d, train.seed)
    known = torch.cat([known, known.reshape(3, *SHAPE).flip(-1).reshape(3, -1)])
    distances = torch.cdist(copies, known)
    assert float(distances.min(dim=1).values.max()) < 0.01  # cdist is exact to about 1e-3
    assert set(distances.argmin(dim=1).tolist()) == set(range(6))


def test_without_the_option_the_key_is_as_before_it() -> None:
    """Saved states and shipped manifests name it: they must stay valid."""
    assert tuple(TrainSpec().key()) == BEFORE
    assert TrainSpec(ambient=0.5).key() == {**TrainSpec().key(), "ambient": 0.5}


def test_without_the_option_the_batches_are_as_before_it(tmp_path: Path) -> None:
    """The draws of one generator in the order they always had."""
    train = TrainSpec(batch=8, flips=False, seed=4, uniform=0.0)
    started = drawing(tmp_path, train)
    (x, goal, keep), sigma = draw_batch(started.dataset, started.train, started._generator)
    g = torch.Generator().manual_seed(4)
    x0 = started.dataset.x0(torch.randint(3, (8,), generator=g))
    torch.rand(8, generator=g)  # mirrors
    ln_sigma = train.ln_mean + train.ln_std * torch.randn(8, generator=g)
    torch.rand(8, generator=g), torch.rand(8, generator=g)
    eps = torch.randn(8, SHAPE.d, generator=g)
    assert torch.equal(sigma, ln_sigma.exp())
    assert torch.equal(x, x0 + sigma[:, None] * eps)
    assert torch.equal(goal, x0)
    assert bool((keep == 1).all())


@pytest.mark.parametrize("level", [-0.1, 81.0, float("nan")])
def test_levels_that_are_none_are_refused(level: float) -> None:
    with pytest.raises(BadInput, match="ambient="):
        replace(TrainSpec(), ambient=level)
