"""A recording of a training: its moments against the library's own numbers, packed, shipped, read, refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from locality.datasets import Source
from locality.errors import BadInput
from locality.fields.jacobian import reduce_inputs
from locality.metrics import error_ratio
from locality.networks import MANIFEST, Budget, TrainSpec, load_network, read_moments
from locality.networks.resnet import ResNet
from locality.store import Store
from locality.studies import (
    BenchPlan,
    Draws,
    Recording,
    RecordingPlan,
    bench,
    finish,
    fit_wiener,
    learned_field,
    record,
    ship_recording,
    shipped_recordings,
    train_network,
)
from locality.studies.trained import read_trained
from locality.studies.training.record import places
from locality.studies.training.recording import pack, unpack
from locality.types import Pixel
from tests.shell import Shell, refused

PLAN = RecordingPlan(sigmas=(0.5, 2.0), draws=3, samples=2, steps=3, held_out=20, seed=1)
DIGITS = Source.parse("digits")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    root = tmp_path_factory.mktemp("home")
    made = Store(root / "local", root / "shipped")
    yield made
    made.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, home: Store) -> Path:
    """A training of 2,048 images that keeps two moments."""
    place = tmp_path_factory.mktemp("runs") / "digits-small"
    train = TrainSpec(batch=64, warmup=256, rate=3e-3, bfloat16=False)
    work = train_network(DIGITS, ResNet(channels=8), train, Budget(images=2048), place, moments=2, store=home)
    finish(work)
    return place


@pytest.fixture(scope="module")
def made(folder: Path, home: Store) -> Recording:
    return finish(record(DIGITS, folder, PLAN, store=home))


def test_every_number_is_the_librarys(made: Recording, folder: Path, home: Store) -> None:
    assert (made.name, made.dataset, made.network) == ("small", "digits", "resnet:channels=8")
    assert made.images == (0, 1024, 2048)
    assert made.pixels == tuple(places(DIGITS)) == (Pixel(4, 4), Pixel(2, 4), Pixel(4, 2))
    wiener = finish(fit_wiener(DIGITS, store=home))
    denoiser = load_network(read_moments(folder)[2048])
    draws, pixel = Draws(3, 1), torch.tensor([4 * 8 + 2])
    outputs = torch.eye(64)[pixel]
    field = learned_field(denoiser, draws.images(DIGITS), outputs, 2.0, draws).values[0]
    assert torch.allclose(made.learned[2, 1, 2], reduce_inputs(field), atol=1e-6)
    assert torch.allclose(made.predicted[1, 2].flatten(), wiener.rows(pixel, 2.0)[0].float(), atol=1e-6)
    ratio = error_ratio(denoiser, wiener, DIGITS.held_out.x0(slice(0, 20)), 0.5, seed=1)
    assert float(made.errors[2, made.error_sigmas.index(0.5)]) == pytest.approx(ratio, rel=1e-5)
    assert bool((made.error_stderr > 0).all())
    assert made.samples.shape == (3, 2, 64)


def test_before_training_the_field_is_the_pixel_alone(made: Recording) -> None:
    """The last layer of this network starts at zero: x0_hat = c_skip x."""
    point = made.learned[0, 1, 0]
    assert int((point != 0).sum()) == 1
    assert float(point[4, 4]) == pytest.approx(0.25 / (0.25 + 4.0), rel=1e-5)
    assert made.similarity(0, 1, 0) != made.similarity(0, 1, 0)  # nan: nothing but the pixel
    assert -1 <= made.similarity(2, 1, 0) <= 1


def test_packed_it_is_the_same_but_for_the_rounding_of_fields(made: Recording) -> None:
    again = unpack(pack(made))
    for name in ("name", "dataset", "network", "shape", "images", "minutes", "sigmas", "pixels", "error_sigmas"):
        assert getattr(again, name) == getattr(made, name)
    assert torch.equal(again.samples, made.samples)
    assert torch.equal(again.errors, made.errors)
    limit = made.learned.abs().amax(dim=(-1, -2), keepdim=True)
    assert bool(((again.learned - made.learned).abs() <= 0.008 * limit).all())
    assert bool(((again.learned - made.learned).abs() > 0).any())


def test_shipped_it_comes_back_by_dataset(made: Recording, folder: Path, home: Store) -> None:
    assert home.shipped_root is not None
    path = ship_recording(DIGITS, made, folder, PLAN, home.shipped_root)
    assert path.name == "digits-small.safetensors"
    manifest = json.loads(path.with_suffix(".json").read_text())
    assert manifest["about"]["licence"] == DIGITS.licence()["licence"]
    assert manifest["about"]["command"] == (
        "python -m locality recording digits digits-small --sigmas 0.5,2 --draws 3 --samples 2 --steps 3 "
        "--held-out 20 --seed 1 --ship cache/shipped"
    )
    (found,) = shipped_recordings("digits", store=home)
    assert found.images == made.images
    assert shipped_recordings("mnist", store=home) == []


def test_a_moment_is_a_network_of_its_trainings_images(folder: Path, home: Store) -> None:
    """It can be explained like any other; without the training's manifest nobody knows of which images it is."""
    place = read_moments(folder)[1024]
    moment = read_trained(place)
    assert (moment.name, moment.dataset) == ("1024", "digits")
    assert moment.manifest["images_seen"] == 1024
    assert moment.manifest["fingerprint"] == DIGITS.fingerprint
    assert "error_ratio" not in moment.manifest  # which is of the training's end
    alone = BenchPlan(reference=str(place), count=2, steps=2, sigmas=(0.5,), features="none", ceiling="none")
    made = finish(bench(DIGITS, alone, store=home))
    assert made.result(str(place)).notes == ()
    (folder / MANIFEST).rename(folder / "away")
    try:
        with pytest.raises(BadInput, match="does not name the dataset the network was trained on"):
            read_trained(place)
    finally:
        (folder / "away").rename(folder / MANIFEST)


def test_what_is_no_training_is_refused(tmp_path: Path, folder: Path, home: Store) -> None:
    with pytest.raises(BadInput, match=r"has no moments of a training\. Train with --images N --moments 12"):
        finish(record(DIGITS, tmp_path, PLAN, store=home))
    with pytest.raises(BadInput, match="learns images of 1x8x8; those of faces are 3x32x32"):
        finish(record(Source.parse("faces"), folder, PLAN, store=home))


def test_the_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    shell = Shell(capsys, monkeypatch)
    few = ("--draws", 2, "--samples", 1, "--steps", 2, "--held-out", 4, "--sigmas", "1")
    got = shell("recording", "digits", folder, *few, "--json").json
    assert [row["images"] for row in got["moments"]] == [0, 1024, 2048]
    assert all(len(row["error"]) == 6 for row in got["moments"])
    assert "has no moments" in refused(shell("recording", "digits", folder.parent, *few))
