"""Stacks: weights against normal equations by hand, known combinations, what is held out, what is refused."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pytest
import torch
from torch import Tensor

from locality.dataset import Images
from locality.denoisers import DENOISERS
from locality.denoisers.ls import LocalScoreDenoiser
from locality.denoisers.optimal import OptimalDenoiser
from locality.denoisers.parts.bands import Bands
from locality.denoisers.parts.part import Part
from locality.denoisers.parts.ridge import least_squares
from locality.denoisers.parts.stacked import SIGMAS, StackDenoiser
from locality.denoisers.pca_locality import PcaLocalityDenoiser
from locality.denoisers.stack import Stack
from locality.denoisers.wiener import Wiener
from locality.device import Compute
from locality.errors import BadInput, UnknownName
from locality.store import Store
from locality.types import Denoiser
from locality.work import finish
from tests.made_up import made_up
from tests.small_sets import COLOUR, Given, close, eight_bit, fit, floats, given, noisy

FORTY = eight_bit(40)
VALIDATION = 8


def judged(images: Given, sigma: float) -> tuple[Tensor, Tensor]:
    """The last images, clean and with the noise of seed i for image i."""
    x0 = images.x0().float()[-VALIDATION:]
    eps = [torch.randn(images.shape.d, generator=torch.Generator().manual_seed(i)) for i in range(VALIDATION)]
    return x0, x0 + sigma * torch.stack(eps)


# --- weights


def by_hand(answers: Tensor, target: Tensor, prior: np.ndarray) -> np.ndarray:
    """The largest ridge as good as the best for images left out, by solving for each of them: a loop in numpy."""
    count, images = answers.shape[:2]
    a, t = answers.double().numpy(), target.double().numpy()

    def solve(kept: list[int], ridge: float) -> np.ndarray:
        columns = a[:, kept].reshape(count, -1).T
        scale = np.mean((a.reshape(count, -1) ** 2).sum(axis=1))
        normal = columns.T @ columns + ridge * scale * np.eye(count)
        return np.linalg.solve(normal, columns.T @ t[kept].flatten() + ridge * scale * prior)

    def left_out(ridge: float) -> np.ndarray:
        rest = [solve([j for j in range(images) if j != i], ridge) for i in range(images)]
        return np.array([((t[i] - np.tensordot(w, a[:, i], 1)) ** 2).sum() for i, w in enumerate(rest)])

    errors = {10.0**power: left_out(10.0**power) for power in range(-3, 7)}
    best = min(errors.values(), key=lambda found: float(found.sum()))
    off = {ridge: found - best for ridge, found in errors.items()}
    chosen = max(r for r, by in off.items() if by.mean() <= 2 * by.std(ddof=1) / images**0.5)
    return solve(list(range(images)), chosen)


@pytest.mark.parametrize("signal", [1.0, 0.05])
def test_weights_are_drawn_to_the_prior_as_far_as_images_left_out_say(signal: float) -> None:
    generator = torch.Generator().manual_seed(0)
    answers = torch.randn(3, 6, 7, generator=generator, dtype=torch.float64)
    target = signal * answers[1] + torch.randn(6, 7, generator=generator, dtype=torch.float64)
    prior = torch.tensor([1.0, 0.0, 0.0]).double()
    close(least_squares(answers, target, prior), torch.from_numpy(by_hand(answers, target, prior.numpy())), 1e-9)


def test_a_known_combination_is_found() -> None:
    """The least ridge moves weights by a thousandth of their size."""
    answers = torch.randn(3, 40, 30, generator=torch.Generator().manual_seed(1))
    wanted = torch.tensor([1.5, -0.5, 0.25])
    target = torch.einsum("f,fbd->bd", wanted, answers)
    close(least_squares(answers, target, torch.tensor([1.0, 0.0, 0.0])), wanted.double(), 3e-3)


def test_where_no_signal_is_left_weights_are_wieners() -> None:
    """Gaussian images under noise of 40: two members are Wiener's answer, scaled, and small steps of their own.

    Wiener's error is what its theory says; least squares alone follow chance by weights of size 2, this does not.
    """
    generator = torch.Generator().manual_seed(2)
    gain = 1.0 / (1.0 + 40.0**2)

    def world(count: int) -> tuple[Tensor, Tensor]:
        x0 = torch.randn(count, 64, generator=generator, dtype=torch.float64)
        x = x0 + 40.0 * torch.randn(count, 64, generator=generator, dtype=torch.float64)
        off = 0.02 * torch.randn(64, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
        return torch.stack([gain * x, 1.3 * gain * x + 0.1 * gain * x.roll(1, dims=1), 0.9 * gain * x + off]), x0

    answers, x0 = world(96)
    free = np.linalg.lstsq(answers.flatten(1).T.numpy(), x0.flatten().numpy(), rcond=None)[0]
    weights = least_squares(answers, x0, torch.tensor([1.0, 0.0, 0.0]))
    fresh, truth = world(4000)

    def error(a: Tensor) -> float:
        return float((torch.einsum("f,fbd->bd", a.double(), fresh) - truth).square().mean())

    wiener = error(torch.tensor([1.0, 0.0, 0.0]))
    assert np.abs(free).max() > 2
    assert float(weights.abs().max()) < 1.5
    assert error(weights) < 1.001 * wiener
    assert error(weights) < error(torch.from_numpy(free))


def test_members_that_know_other_means_are_not_pulled_apart() -> None:
    """Under noise of 40 two members answer means of 60,000 and 10,000 images; 96 images have a third by chance.

    In thirty draws of images least squares follow it by weights of 2 or more in half, and the ridge of least error by
    1.5 or more in six; these do not.
    """
    far = 0
    for seed in range(30):
        generator = torch.Generator().manual_seed(seed)
        own = torch.randn(64, generator=generator, dtype=torch.float64) / 60_000**0.5
        other = torch.randn(64, generator=generator, dtype=torch.float64) / 10_000**0.5
        x0 = torch.randn(96, 64, generator=generator, dtype=torch.float64)
        x = x0 + 40.0 * torch.randn(96, 64, generator=generator, dtype=torch.float64)
        answers = torch.stack([x / 1601.0, own.expand_as(x), other.expand_as(x)])
        far += float((least_squares(answers, x0, torch.tensor([1.0, 0.0, 0.0]))).abs().max()) > 1.5
    assert far <= 3


def test_between_levels_weights_are_linear_in_ln_sigma() -> None:
    """And beyond the levels those of the last one."""
    weights = torch.arange(24, dtype=torch.float64).reshape(12, 2) ** 2
    zeros = torch.zeros(2, COLOUR.d)
    stack = StackDenoiser(COLOUR, (), zeros[0], zeros, weights[:, None], Bands.one(COLOUR.d))
    for level, sigma in enumerate(SIGMAS):
        close(stack.weights_at(sigma)[0], weights[level], 1e-9)
    halfway = (SIGMAS[3] * SIGMAS[4]) ** 0.5
    close(stack.weights_at(halfway)[0], (weights[3] + weights[4]) / 2, 1e-9)
    assert torch.equal(stack.weights_at(1e-4)[0], weights[0])
    assert torch.equal(stack.weights_at(1e4)[0], weights[-1])
    assert len(SIGMAS) == 12
    assert (SIGMAS[0], SIGMAS[-1]) == pytest.approx((0.02, 40.0))


def test_members_are_weighed_about_the_mean() -> None:
    """mu + a (D_1 - mu_1) + b (D_2 - mu_2), by hand."""

    class Times:
        shape = COLOUR

        def __init__(self, factor: float) -> None:
            self.factor = factor

        def __call__(self, x: Tensor, sigma: float) -> Tensor:
            return self.factor * x

    mean = torch.linspace(-1, 1, COLOUR.d)
    weights = torch.tensor([[[0.5, 2.0]]]).double().repeat(12, 1, 1)
    x = noisy(FORTY, 3, 0.5)
    members, means = (Times(3.0), Times(-1.0)), torch.stack([mean, mean + 0.1])
    found = StackDenoiser(COLOUR, members, mean, means, weights, Bands.one(COLOUR.d))(x, 0.5)
    close(found, mean.double() + 0.5 * (3 * x - mean) + 2.0 * (-x - mean - 0.1), 1e-6)


def test_a_member_of_fewer_images_is_measured_from_their_mean(store: Store) -> None:
    """Where no signal is left all members answer their mean, and so does the stack: that of all images."""
    model = fit(f"stack:members=wiener+ls:window=3,first=12,validation={VALIDATION}", FORTY, store)
    assert isinstance(model, StackDenoiser)
    close(model.means[0], FORTY.x0().mean(dim=0), 1e-6)
    close(model.means[1], FORTY.x0()[:12].mean(dim=0), 1e-6)
    close(model(noisy(FORTY, 3, 1.0), 1e5), FORTY.x0().mean(dim=0).expand(3, -1), 1e-3)


# --- learning


def test_the_combination_that_made_the_images_is_recovered(store: Store) -> None:
    """Two members whose deviations from the other images' mean make those of the validation images, .3 and .7."""
    rest = FORTY.x0()[:-VALIDATION].mean(dim=0)
    truth, _ = judged(FORTY, 1.0)
    one = torch.randn(VALIDATION, COLOUR.d, generator=torch.Generator().manual_seed(1)).double()
    two = (truth - rest - 0.3 * one) / 0.7
    with ExitStack() as made:
        for name, away in (("first_part", one), ("second_part", two)):
            made.enter_context(made_up(name, lambda *_, away=away: lambda x, sigma: (rest + away)[: len(x)].to(x)))
        model = fit(f"stack:members=first_part+second_part,validation={VALIDATION}", FORTY, store)
    assert isinstance(model, StackDenoiser)
    close(model.weights, torch.tensor([[[0.3, 0.7]]]).double().expand(12, 1, 2), 2e-3)


def test_weights_are_those_of_members_that_have_not_seen_the_validation_images(store: Store) -> None:
    """Recomputed: members fitted to the first images, judged on the last, then fitted to all."""
    text = f"stack:members=wiener+optimal+pca_locality,validation={VALIDATION}"
    model = fit(text, FORTY, store)
    assert isinstance(model, StackDenoiser)
    names = ("wiener", "optimal", "pca_locality")
    rest = given(FORTY.data.data[:-VALIDATION], COLOUR, FORTY.data.labels[:-VALIDATION])  # type: ignore[index]
    mean = rest.x0().mean(dim=0)
    for level in (0, 4, 8, 11):
        x0, x = judged(FORTY, SIGMAS[level])
        away = [(fit(name, rest, store)(x, SIGMAS[level]).double() - mean).flatten() for name in names]
        answers = torch.stack(away).reshape(3, VALIDATION, -1)
        expected = by_hand(answers, x0.double() - mean, np.array([1.0, 0.0, 0.0]))
        np.testing.assert_allclose(model.weights[level, 0].numpy(), expected, rtol=1e-3, atol=1e-3)
    x = noisy(FORTY, 3, SIGMAS[4])
    everything = FORTY.x0().mean(dim=0)
    weighed = sum(
        float(weight) * (fit(name, FORTY, store)(x, SIGMAS[4]) - everything)
        for name, weight in zip(names, model.weights[4, 0], strict=True)
    )
    close(model(x, SIGMAS[4]), everything + weighed, 1e-6)


def test_members_see_the_validation_images_only_once_weights_are_learned(store: Store) -> None:
    """First fitted to the others, then to all; from the store to all at once."""
    seen: list[int] = []

    def record(images: Images, _: Denoiser | None) -> object:
        seen.append(len(images.train))
        return lambda x, sigma: x

    with made_up("recorded", record):  # type: ignore[arg-type]
        fit(f"stack:members=recorded,validation={VALIDATION}", FORTY, store)
        assert seen == [32, 40]
        fit(f"stack:members=recorded,validation={VALIDATION}", FORTY, store)
        assert seen == [32, 40, 40]


def test_local_members_see_fewer_images_and_quick_ones_all(store: Store) -> None:
    model = fit(f"stack:members=optimal+pca_locality,first=20,validation={VALIDATION}", FORTY, store)
    assert isinstance(model, StackDenoiser)
    optimal, local = model.members
    assert isinstance(optimal, OptimalDenoiser)
    assert isinstance(local, PcaLocalityDenoiser)
    assert (len(optimal.bank), len(local.bank)) == (40, 20)
    everything = fit(f"stack:members=optimal+pca_locality,first=0,validation={VALIDATION}", FORTY, store)
    assert [len(member.bank) for member in everything.members] == [40, 40]  # type: ignore[attr-defined]


def test_a_stack_says_which_images_its_members_see() -> None:
    spec = DENOISERS.parse("stack:members=wiener+ls,first=20")
    assert spec.note(40) == "stack: its local members average the first 20 of 40 training images."
    assert spec.note(20) == ""
    assert DENOISERS.parse("stack:members=wiener+optimal,first=20").note(40) == ""
    assert DENOISERS.parse("stack:members=wiener+ls,first=0").note(40) == ""


def test_members_have_options_of_their_own(store: Store) -> None:
    """The same model twice, with different windows, beside one that keeps few components."""
    spec = Stack(members="wiener:rank=5,shrinkage=0.1+ls:window=3,first=15+ls:window=5", first=20, validation=8)
    assert DENOISERS.parse(spec.text()) == spec
    wiener, narrow, wide = spec.specs()
    assert (wiener, narrow.key()["first"]) == (Wiener(rank=5, shrinkage=0.1), 15)
    assert (narrow.key()["window"], wide.key()["window"]) == ("3", "5")
    model = finish(spec.fit(FORTY, Compute(), store))
    assert isinstance(model, StackDenoiser)
    sizes = [member.windows.at(0.5) for member in model.members[1:] if isinstance(member, LocalScoreDenoiser)]
    seen = [len(member.bank) for member in model.members[1:] if isinstance(member, LocalScoreDenoiser)]
    assert (sizes, seen) == ([3, 5], [15, 20])
    assert spec.approximations(40) == [
        "its local members average the first 20 of 40 training images",
        "its ls averages the first 15 of 40 training images",
    ]


def test_a_member_that_follows_a_network_is_refused(store: Store) -> None:
    with pytest.raises(BadInput, match=r"ls follows the network 'unet'; members learn from the training images alone"):
        fit("stack:members=wiener+ls:window=calibrated", FORTY, store)


def test_validation_images_by_their_former_name() -> None:
    """Texts of before are read, and what was kept under them is found."""
    assert DENOISERS.parse("stack:judges=50") == Stack(validation=50)
    assert Stack(validation=50).key()["judges"] == 50


def test_a_part_is_another_set_of_images() -> None:
    part = Part(FORTY, 30)
    assert (part.name, part.shape, len(part.train)) == ("made", COLOUR, 30)
    assert part.fingerprint == FORTY.train.first(30).fingerprint != FORTY.fingerprint


# --- what is refused


@pytest.mark.parametrize("members", ["wiener+wiener", "wiener+stack", "stack"])
def test_members_are_named_once_and_no_stack_is_in_a_stack(store: Store, members: str) -> None:
    with pytest.raises(BadInput, match=r"name each model once, joined by '\+', without stack\."):
        fit(f"stack:members={members}", FORTY, store)


@pytest.mark.parametrize(("members", "unknown"), [("wiener+optimol", "optimol"), ("", ""), ("wiener+", "")])
def test_members_must_exist(store: Store, members: str, unknown: str) -> None:
    with pytest.raises(UnknownName, match=f"Unknown model '{unknown}'") as caught:
        fit(f"stack:members={members}", FORTY, store)
    assert "optimal" in str(caught.value)


def test_validation_images_may_be_half_of_the_images_at_most(store: Store) -> None:
    message = r"stack:validation=21 needs at least 42 training images; made has 40\. Give a smaller validation\."
    with pytest.raises(BadInput, match=message):
        fit("stack:members=wiener+optimal,validation=21", FORTY, store)
    fit("stack:members=wiener+optimal,validation=20", FORTY, store)


def test_what_a_member_refuses_is_reported(store: Store) -> None:
    bare = given(floats().data.data, floats().shape)
    with pytest.raises(BadInput, match="gaussian_mixture:groups=classes: made has no labels"):
        fit(f"stack:members=wiener+gaussian_mixture,validation={VALIDATION}", bare, store)
