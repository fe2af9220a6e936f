"""Draws of images: against plain loops, kept in the store, stopped midway; what a model depends on."""

from __future__ import annotations

import time
from collections.abc import Generator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from torch import Tensor

from locality.datasets import Source
from locality.denoisers import DENOISERS
from locality.device import Compute
from locality.errors import BadInput, DataUnavailable, LocalityError, NonFinite, TooLarge, UnknownName
from locality.networks import NETWORKS, NetworkDenoiser, load_network, save_network
from locality.sampler import start_noise
from locality.store import Store
from locality.studies import (
    Sampling,
    Stepped,
    Trajectory,
    denoise,
    find_model,
    finish,
    fit_wiener,
    found_samples,
    model_key,
    model_list,
    sample,
)
from locality.types import ImageShape
from locality.work import Progress, heartbeat, listening, within
from tests.made_up import made_up

pytestmark = pytest.mark.usefixtures("one_thread")

T = TypeVar("T")
SHAPE = ImageShape(1, 8, 8)
SHORT = Sampling(count=3, steps=4, seed=5)


def events(work: Generator[Progress, None, T]) -> tuple[list[Progress], T]:
    seen: list[Progress] = []
    return seen, finish(work, seen.append)


def tiny_network(folder: Path, seed: int = 0) -> NetworkDenoiser:
    """An untrained network for digits, written like a trained one."""
    torch.manual_seed(seed)
    spec = NETWORKS.parse("unet:channels=16-16,groups=8")
    save_network(folder, NetworkDenoiser(spec.build(SHAPE), spec, SHAPE), {"dataset": "digits"})
    return load_network(folder)


# --- how a draw is described


def test_a_draw_is_read_from_text_and_its_noise_levels_follow() -> None:
    drawn = Sampling.parse({"count": "3", "steps": "4", "grid": "log", "clip": "no", "eta": "0.5"})
    assert drawn == Sampling(count=3, steps=4, grid="log", clip=False, eta=0.5)
    want = np.geomspace(80, 0.002, 4).tolist()
    assert drawn.sigmas() == pytest.approx(want, rel=1e-12)
    assert Sampling(steps=10).sigmas()[:3] == pytest.approx([60.8, 25.7, 12.0], rel=5e-3)
    assert len(Sampling(steps=18, grid="edm").sigmas()) == 18


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"count": 0}, "Sampling:count=0 is outside [1, 4096]."),
        ({"count": 4097}, "Sampling:count=4097 is outside [1, 4096]."),
        ({"steps": 1}, "Sampling:steps=1 is outside [2, 1000]."),
        ({"steps": 1001}, "Sampling:steps=1001 is outside [2, 1000]."),
        ({"seed": -1}, "Sampling:seed=-1 is outside [0, "),
        ({"grid": "cosine"}, "Sampling:grid='cosine' is not allowed. Choose one of: ddpm, edm, log."),
        ({"sampler": "euler"}, "Sampling:sampler='euler' is not allowed. Choose one of: ddim, heun."),
        ({"eta": 1.5}, "Sampling:eta=1.5 is outside [0, 1]."),
        ({"eta": float("nan")}, "Sampling:eta=nan is outside [0, 1]."),
        ({"start": "zero"}, "Sampling:start='zero' is not allowed. Choose one of: ddpm, edm."),
        ({"sampler": "heun", "eta": 0.5}, "eta=0.5: heun adds no noise. Give eta=0, or the sampler ddim."),
    ],
)
def test_bad_draws_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(BadInput) as caught:
        Sampling(**options)
    assert text in str(caught.value)


# --- drawing


def test_a_draw_equals_a_plain_loop(digits: Source, store: Store) -> None:
    """DDIM of the Wiener filter, by numpy in float64: S from pixels, a solve a step."""
    x0 = digits.train.data.numpy() / 127.5 - 1
    mean, cov = x0.mean(axis=0), np.cov(x0.T)
    sigmas = SHORT.sigmas()
    x = np.sqrt(1 + sigmas[0] ** 2) * start_noise(SHAPE, 3, 5).double().numpy()
    seen, drawn = events(sample(digits, "wiener", SHORT, store=store))
    for i, sigma in enumerate(sigmas):
        x0_hat = mean + np.linalg.solve(cov + sigma**2 * np.eye(64), cov @ (x - mean).T).T
        assert drawn.x[i].numpy() == pytest.approx(x, abs=2e-4)
        assert drawn.x0_hat[i].numpy() == pytest.approx(x0_hat, abs=2e-4)
        if i < 3:
            x = np.clip(x0_hat, -1, 1) + sigmas[i + 1] / sigma * (x - x0_hat)
    assert (drawn.sigmas, drawn.shape, drawn.x.dtype) == (sigmas, SHAPE, torch.float32)
    assert torch.equal(drawn.image, drawn.x0_hat[3])
    steps = [event for event in seen if isinstance(event, Stepped)]
    assert not isinstance(seen[0], Stepped)
    assert [step.index for step in steps] == [0, 1, 2, 3]
    assert [step.fraction for step in steps] == [0.25, 0.5, 0.75, 1.0]
    assert all(torch.equal(step.x, drawn.x[i]) for i, step in enumerate(steps))
    assert all(torch.equal(step.x0_hat, drawn.x0_hat[i]) for i, step in enumerate(steps))
    assert drawn.seconds > 0


def test_an_image_does_not_depend_on_how_many_are_drawn(digits: Source, store: Store) -> None:
    """A float32 product of another batch rounds otherwise: at sigma 60 x is up to 240, its last digit 1.5e-5."""
    for options in ({}, {"eta": 1.0}, {"sampler": "heun"}):
        eight, three = (
            finish(sample(digits, "wiener", Sampling(count=n, steps=4, seed=2, **options), store=store)) for n in (8, 3)
        )
        torch.testing.assert_close(eight.x0_hat[:, :3], three.x0_hat, atol=1e-4, rtol=0)
        assert not torch.allclose(eight.image[3:6], three.image)


@pytest.mark.parametrize(
    "other",
    [{"seed": 6}, {"grid": "edm"}, {"sampler": "heun"}, {"eta": 1.0}, {"clip": False}, {"start": "edm"}],
    ids=lambda options: next(iter(options)),
)
def test_every_option_counts(digits: Source, store: Store, other: dict[str, Any]) -> None:
    base = {"count": 3, "steps": 4, "seed": 5}
    with made_up("made_up", lambda images, reference: lambda x, sigma: x / (1 + sigma)):
        usual, changed = (
            finish(sample(digits, "made_up", Sampling(**options), store=store)) for options in (base, {**base, **other})
        )
    assert not torch.equal(usual.x, changed.x)


def test_a_draw_is_kept_and_found_without_a_fit(digits: Source, store: Store) -> None:
    fits: list[int] = []

    def fit(images: object, reference: object) -> Any:
        fits.append(1)
        return lambda x, sigma: x / (1 + sigma)

    with made_up("made_up", fit):
        assert found_samples(digits, "made_up", SHORT, store=store) is None
        first = finish(sample(digits, "made_up", SHORT, store=store))
        seen, again = events(sample(Source.parse("digits"), "made_up:strength=0.5", SHORT, store=store))
        found = found_samples(digits, "made_up", SHORT, store=store)
        assert fits == [1]
        assert [type(event) for event in seen] == [Stepped] * 4
        for other in (again, found):
            assert isinstance(other, Trajectory)
            assert torch.equal(other.x, first.x)
            assert torch.equal(other.x0_hat, first.x0_hat)
            assert (other.sigmas, other.shape, other.seconds) == (first.sigmas, first.shape, first.seconds)
        assert torch.equal(seen[2].x0_hat, first.x0_hat[2])  # type: ignore[attr-defined]
        for source, text in ((digits, "made_up:strength=0.6"), (Source.parse("digits", 99), "made_up")):
            assert found_samples(source, text, SHORT, store=store) is None
        assert found_samples(digits, "made_up", Sampling(count=3, steps=4, seed=6), store=store) is None


def test_a_stopped_draw_leaves_nothing(digits: Source, store: Store) -> None:
    work = sample(digits, "wiener", SHORT, store=store)
    while not (isinstance(event := next(work), Stepped) and event.index == 2):
        pass
    work.close()
    assert found_samples(digits, "wiener", SHORT, store=store) is None

    class Enough(Exception):
        pass

    def stop(event: Progress) -> None:
        if isinstance(event, Stepped) and event.index == 3:
            raise Enough

    with pytest.raises(Enough):
        finish(sample(digits, "wiener", SHORT, store=store), stop)
    assert found_samples(digits, "wiener", SHORT, store=store) is None
    finish(sample(digits, "wiener", SHORT, store=store))
    assert found_samples(digits, "wiener", SHORT, store=store) is not None


def test_a_listener_stops_a_draw_inside_a_step(digits: Source, store: Store) -> None:
    calls: list[float] = []

    class Enough(Exception):
        pass

    def call(x: Tensor, sigma: float) -> Tensor:
        calls.append(sigma)
        heartbeat(0.5)
        return x

    def stop(fraction: float) -> None:
        if len(calls) == 2:
            raise Enough

    with made_up("made_up", lambda images, reference: call):
        work = sample(digits, "made_up", SHORT, store=store)
        with listening(stop), pytest.raises(Enough):
            for _ in work:
                pass
        assert calls == SHORT.sigmas()[:2]
        assert found_samples(digits, "made_up", SHORT, store=store) is None


@pytest.mark.parametrize(("sampler", "want"), [("ddim", [0.5] * 3), ("heun", [0.75, 0.25, 0.75, 0.25, 0.75])])
def test_beats_tell_how_much_of_a_step_is_done(digits: Source, store: Store, sampler: str, want: list[float]) -> None:
    def call(x: Tensor, sigma: float) -> Tensor:
        heartbeat(0.5)
        return x / 2

    heartbeats: list[float] = []
    with made_up("made_up", lambda images, reference: call), listening(heartbeats.append):
        for _ in sample(digits, "made_up", Sampling(count=2, steps=3, sampler=sampler), store=store):
            pass
    assert heartbeats == want


def test_a_network_sees_few_images_at_a_time(digits: Source, store: Store, tmp_path: Path) -> None:
    net = tiny_network(tmp_path / "net")
    text = str(tmp_path / "net")
    heartbeats: list[float] = []
    with listening(heartbeats.append):
        for _ in sample(digits, text, Sampling(count=70, steps=2), store=store):
            pass
    assert heartbeats == pytest.approx([64 / 70, 1.0] * 2)
    drawn = found_samples(digits, text, Sampling(count=70, steps=2), store=store)
    assert drawn is not None
    for i, sigma in enumerate(drawn.sigmas):
        torch.testing.assert_close(drawn.x0_hat[i], net(drawn.x[i], sigma), atol=1e-3, rtol=1e-4)


def test_models_that_break_are_reported_and_nothing_is_kept(digits: Source, store: Store) -> None:
    with made_up("made_up", lambda images, reference: lambda x, sigma: x if sigma > 1 else x * torch.nan):
        with pytest.raises(NonFinite, match=r"made_up gave NaN or infinity at sigma=0\.01"):
            finish(sample(digits, "made_up", Sampling(count=2, steps=2, start="edm"), store=store))
        assert found_samples(digits, "made_up", Sampling(count=2, steps=2, start="edm"), store=store) is None
        with pytest.raises(NonFinite, match=r"made_up gave NaN or infinity at sigma=0\.5"):
            finish(denoise(digits, "made_up", torch.zeros(1, 64), 0.5, store=store))


def test_a_trajectory_too_large_is_refused_before_the_fit(digits: Source, store: Store) -> None:
    def fit(images: object, reference: object) -> Any:
        raise AssertionError("fitted")

    with made_up("made_up", fit), pytest.raises(TooLarge) as caught:
        finish(sample(digits, "made_up", Sampling(count=4096, steps=1000), store=store))
    text = "A trajectory of 4096 images of 1x8x8 in 1000 steps needs 2.1 GB; the budget is 2 GB. Draw fewer images"
    assert text in str(caught.value)


# --- one call


def test_denoise_is_one_call_of_the_model(digits: Source, store: Store) -> None:
    x = digits.held_out.x0(slice(0, 5)) + 0.5 * torch.randn(5, 64, generator=torch.Generator().manual_seed(0))
    got = finish(denoise(digits, "wiener", x, 0.5, store=store))
    assert torch.equal(got, finish(fit_wiener(digits, store=store))(x, 0.5))
    assert not got.requires_grad


@pytest.mark.parametrize(
    ("x", "sigma", "error", "text"),
    [
        (torch.zeros(1, 64), 0.0, BadInput, "sigma=0 is not a noise level"),
        (torch.zeros(1, 63), 1.0, BadInput, "Images of 63 values do not fit"),
        (torch.full((1, 64), torch.nan), 1.0, NonFinite, "NaN"),
    ],
)
def test_bad_calls_are_refused_before_the_fit(
    digits: Source, store: Store, x: Tensor, sigma: float, error: type[LocalityError], text: str
) -> None:
    with pytest.raises(error, match=text):
        next(denoise(digits, "wiener", x, sigma, store=store))


# --- models by name


def test_a_model_depends_on_images_options_and_weights(digits: Source, store: Store, tmp_path: Path) -> None:
    for i in range(2):
        tiny_network(tmp_path / f"net{i}", seed=i)
    with made_up("made_up", lambda images, reference: lambda x, sigma: x):
        keys = [
            model_key(source, text, store)
            for source, text in (
                (digits, "made_up"),
                (digits, "made_up:strength=0.6"),
                (digits, "made_up:rule=code"),
                (Source.parse("digits", 100), "made_up"),
                (digits, "wiener"),
                (digits, str(tmp_path / "net0")),
                (digits, str(tmp_path / "net1")),
            )
        ]
        assert all(one != other for i, one in enumerate(keys) for other in keys[:i])
        assert model_key(Source.parse("digits", 1617), "made_up:strength=0.5", store) == keys[0]
    assert len(keys[5]["weights"]) == 64


def test_labels_are_a_part_of_the_images(digits: Source, store: Store) -> None:
    before = model_key(digits, "wiener", store)
    digits.train.labels[0] += 1  # type: ignore[index]
    assert model_key(digits, "wiener", store) != before


def test_a_model_gets_the_network_it_follows(digits: Source, store: Store) -> None:
    got: list[object] = []

    def fit(images: object, reference: object) -> Any:
        got.append(reference)
        return reference

    with made_up("follower", fit, network="unet"):
        folder = store.local / "networks" / "digits-unet"
        with pytest.raises(DataUnavailable) as caught:
            find_model(digits, "follower:rule=code", store=store)
        assert str(caught.value) == (
            "follower:rule=code follows the trained network 'unet', which digits has not; trained on it: none. "
            f"Train it: python -m locality train digits --network unet --minutes 20 --out {folder}."
        )
        net = tiny_network(folder)
        before = model_key(digits, "follower", store)
        x = torch.randn(2, 64, generator=torch.Generator().manual_seed(0))
        assert torch.equal(finish(denoise(digits, "follower", x, 1.0, store=store)), net(x, 1.0))
        assert isinstance(got[0], NetworkDenoiser)
        tiny_network(folder, seed=1)
        assert model_key(digits, "follower", store) != before
    with made_up("follower", fit, network="resnet"), pytest.raises(DataUnavailable, match="trained on it: unet"):
        find_model(digits, "follower", store=store)


def test_unknown_models_are_reported(digits: Source, store: Store) -> None:
    with pytest.raises(UnknownName) as caught:
        find_model(digits, "weiner", store=store)
    assert "Unknown model for digits 'weiner'. Did you mean 'wiener'? Known: " in str(caught.value)
    assert all(name in str(caught.value) for name in DENOISERS)
    with pytest.raises(BadInput, match="wiener has no option 'rnak'"):
        find_model(digits, "wiener:rnak=3", store=store)
    with pytest.raises(DataUnavailable, match=r"No unet is trained on digits\. Train one: python -m locality train"):
        find_model(digits, "unet", store=store)


def test_what_must_be_said_beside_a_result(digits: Source, store: Store, tmp_path: Path) -> None:
    tiny_network(tmp_path / "net")
    with made_up("made_up", lambda images, reference: lambda x, sigma: x, note="of {} images"):
        assert find_model(digits, "made_up", store=store).note() == "of 1617 images"
        assert find_model(Source.parse("digits", 7), "made_up", store=store).note() == "of 7 images"
        assert find_model(digits, "wiener", store=store).note() == ""
        assert find_model(digits, str(tmp_path / "net"), store=store).note() == ""


def test_the_list_of_models_describes_every_option() -> None:
    with made_up("made_up", lambda images, reference: lambda x, sigma: x):
        rows = {row["name"]: row for row in model_list()}
        assert list(rows) == list(DENOISERS)
        assert all(row["about"] and row["paper"] and row["cost"] for row in rows.values())
        row = rows["made_up"]
    assert row["about"] == "A model of a test."
    numbers = {"name": "strength", "default": 0.5, "low": 0.0, "high": 1.0, "choices": [], "unit": "px"}
    assert row["options"][0] == {**numbers, "help": "How much."}
    assert [option["default"] for option in row["options"]] == [0.5, [3, 5], "row"]
    assert row["options"][2]["choices"] == ["row", "code"]


# --- running to the end


def test_beats_become_events_of_the_running_step() -> None:
    seconds = 0.35

    def work() -> Generator[Progress, None, str]:
        yield Progress(2.0, 3.0, "Walking", {"rate": 7.0})
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:  # thousands of heartbeats
            heartbeat(1.5 - (end - now) / seconds)
        yield Progress(3.0, 3.0)
        return "there"

    began = time.monotonic()
    seen, result = events(work())
    took = time.monotonic() - began
    assert result == "there"
    inside = seen[1:-1]
    assert 1 <= len(inside) <= took / 0.1
    assert all(2.0 <= event.done <= 3.0 for event in inside)
    assert all((event.total, event.note, event.numbers) == (3.0, "Walking", {"rate": 7.0}) for event in inside)
    assert [event.done for event in inside] == sorted(event.done for event in inside)


@pytest.mark.parametrize("where", ["event", "heartbeat"])
def test_what_a_report_raises_ends_the_work(where: str) -> None:
    ended: list[str] = []

    class Enough(Exception):
        pass

    def work() -> Generator[Progress, None, None]:
        try:
            yield Progress(0.0, 2.0, "event" if where == "event" else "")
            end = time.monotonic() + 60
            while time.monotonic() < end:
                heartbeat(0.5)
        finally:
            ended.append("here")

    def report(event: Progress) -> None:
        if event.note == "event" or event.done == 0.5:
            raise Enough

    with pytest.raises(Enough) as caught:  # keeps the frames: nothing is tidied up by going out of scope
        finish(work(), report)
    assert ended == ["here"]
    assert caught.traceback


def test_beats_of_a_part_fill_their_share() -> None:
    heartbeats: list[float] = []
    with within(0.0, 0.5):
        heartbeat(0.5)  # nobody listens
    with listening(heartbeats.append):
        with within(0.5, 1.0):
            heartbeat(0.0)
            heartbeat(0.5)
            with within(0.0, 0.5):
                heartbeat(1.0)
        heartbeat(1.0)
    assert heartbeats == [0.5, 0.75, 0.75, 1.0]


def test_a_memory_budget_reaches_the_model(digits: Source, store: Store) -> None:
    with pytest.raises(TooLarge, match="Denoising 1x8x8 images needs"):
        finish(denoise(digits, "optimal", torch.zeros(4, 64), 1.0, store=store, compute=Compute(memory=100)))
