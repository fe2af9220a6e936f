"""Copies of training images among samples: counted by hand, by models known to copy, and by the command."""

from __future__ import annotations

import pytest
import torch

from locality.datasets import Source
from locality.studies import Sampling, finish, memorisation
from locality.studies.sampling.memorisation import copies
from tests.shell import Shell, refused

PLAN = Sampling(count=6, steps=4, seed=2)


def test_copies_are_three_times_nearer_to_one_image_than_to_any_other() -> None:
    nearest = torch.tensor([0.0, 0.9, 1.0, 1.1, 0.0])
    second = torch.tensor([1.0, 3.0, 3.0, 3.0, 0.0])  # the last is two training images at once
    found = copies(nearest, second)
    assert found.share == pytest.approx(2 / 5)
    assert found.stderr == pytest.approx((0.4 * 0.6 / 5) ** 0.5)
    assert found.count == 5


def test_a_model_that_copies_is_seen_and_one_that_blurs_is_not() -> None:
    """The nearest training image at every step is a copy by definition; Wiener's samples are far from all."""
    source = Source.parse("digits")
    copier = finish(memorisation(source, "nearest", PLAN))
    assert copier.samples.share == 1.0
    assert copier.samples.median_distance < 1e-3
    blurred = finish(memorisation(source, "wiener", PLAN))
    assert blurred.samples.share == 0.0
    assert blurred.held_out == copier.held_out  # the control is of the data alone
    x0, train = source.held_out.x0(slice(0, 6)).double(), source.train.x0(slice(None)).double()
    two = torch.cdist(x0, train).topk(2, largest=False).values
    assert copier.held_out.share == pytest.approx(float((two[:, 0] < two[:, 1] / 3).double().mean()))


def test_the_command_tells_share_and_control(shell: Shell) -> None:
    args = ("memorisation", "digits", "--model", "nearest", "-n", 6, "--steps", 4, "--seed", 2)
    result = shell(*args)
    assert result.code == 0, result.err
    assert "samples of nearest: 100.0 % ± 0.0 % copies of 6" in result.out
    assert "held-out images: 0.0 %" in result.out
    got = shell(*args, "--first", 50, "--json").json
    assert got["train_images"] == 50
    assert got["samples"]["share"] == 1.0


def test_bad_input_is_one_line(shell: Shell) -> None:
    assert "Unknown model" in refused(shell("memorisation", "digits", "--model", "nerest"))
    assert "-n=0 is outside" in refused(shell("memorisation", "digits", "--model", "wiener", "-n", 0))
    assert "not on this machine" in refused(shell("memorisation", "celeba_hq", "--model", "wiener"))
