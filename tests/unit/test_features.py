"""Extractors of features: the Inception file's guard, the small classifier from training to refusal, raw pixels."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from locality.dataset import Dataset
from locality.datasets import Source
from locality.datasets.digits import Digits
from locality.errors import BadInput, CheckpointMismatch, DataUnavailable, DigestMismatch
from locality.features import (
    FOLDER,
    INCEPTION,
    INCEPTION_FILE,
    ClassifierPlan,
    PixelFeatures,
    as_8bit,
    find_classifier,
    inception,
    inception_features,
    load_classifier,
    train_classifier,
)
from locality.store import Store
from locality.studies import finish
from locality.types import ImageShape
from tests.inception import stand_in
from tests.mirror import serve
from tests.shell import Shell, refused

pytestmark = pytest.mark.usefixtures("one_thread")

GREY, RGB = ImageShape(1, 4, 5), ImageShape(3, 4, 5)
SHORT = ClassifierPlan(images=3000, batch=100, shift=1, seed=3)


class Means(torch.nn.Module):
    """Stands for Inception: the mean of each channel, once 8-bit images came in; probabilities from them."""

    def forward(self, x: Tensor, return_features: bool = False, no_output_bias: bool = False) -> Tensor:
        if x.dtype != torch.uint8 or x.shape[1] != 3:
            raise ValueError("not 8-bit RGB")
        means = x.float().mean(dim=[2, 3])
        if return_features:
            return means
        return torch.softmax(means if no_output_bias else means + 1e3, dim=1)


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return stand_in(Means(), tmp_path, monkeypatch)


def images(n: int, shape: ImageShape, seed: int = 0) -> Tensor:
    """Within and beyond [-1, 1]."""
    return 0.8 * torch.randn(n, shape.d, generator=torch.Generator().manual_seed(seed))


# --- 8 bits


def test_8bit_images_are_exact_and_others_clamped() -> None:
    stored = torch.arange(256, dtype=torch.uint8).reshape(1, -1)
    shape = ImageShape(1, 16, 16)
    data = Dataset("made", "train", shape, stored)
    assert torch.equal(as_8bit(data.x0(slice(None)), shape).flatten(1), stored)
    assert as_8bit(torch.tensor([[-9.0, 9.0, 0.0]]), ImageShape(1, 1, 3)).flatten().tolist() == [0, 255, 128]


# --- Inception


def test_inception_sees_8bit_rgb_and_any_batch_gives_the_same(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = images(7, GREY)
    found = inception_features(GREY, archive)
    means = as_8bit(x, GREY).float().mean(dim=(2, 3))
    torch.testing.assert_close(found.of(x), means.expand(-1, 3))  # grey: three equal channels
    monkeypatch.setattr(inception, "_BATCH", 2)
    torch.testing.assert_close(found.of(x), means.expand(-1, 3))
    colour = inception_features(RGB, archive)
    y = images(3, RGB, 1)
    torch.testing.assert_close(colour.of(y), as_8bit(y, RGB).float().mean(dim=(2, 3)))
    assert (found.name, found.key()["features"]) == ("inception", "inception")


def test_probabilities_are_those_without_the_last_bias(archive: Path) -> None:
    x = images(5, RGB)
    means = as_8bit(x, RGB).float().mean(dim=(2, 3))
    torch.testing.assert_close(inception_features(RGB, archive).probabilities(x), means.softmax(dim=1))


@pytest.mark.parametrize("damage", ["one byte", "longer", "another"])
def test_a_file_with_another_digest_is_never_opened(
    archive: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    """Not even its header: a TorchScript archive can run code when it is opened."""
    payload = archive.read_bytes()
    changed = {"one byte": payload[:-1] + bytes([payload[-1] ^ 1]), "longer": payload + b"x", "another": b"PK"}[damage]
    archive.write_bytes(changed)
    monkeypatch.setattr(torch.jit, "load", lambda *args, **options: pytest.fail("opened"))
    with pytest.raises(DigestMismatch, match=r"is not the published inception-2015-12-05\.pt .* so it was not opened"):
        inception_features(GREY, archive)


def test_the_known_digest_is_the_published_ones() -> None:
    """Recorded from several independent public projects that check it."""
    assert INCEPTION_FILE.sha256 == "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4"
    assert INCEPTION.size == 95_607_719


def test_inception_is_found_in_the_data_folder(archive: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LOCALITY_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "none"))
    with pytest.raises(DataUnavailable, match=r"is not on this machine\. Run `python -m locality download inception`"):
        inception_features(GREY)
    place = tmp_path / "data" / "inception" / INCEPTION_FILE.name
    place.parent.mkdir(parents=True)
    place.write_bytes(archive.read_bytes())
    assert inception_features(GREY).of(images(2, GREY)).shape == (2, 3)


def test_inception_refuses_two_channels_and_no_file(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="Inception takes grey or RGB images, not 2x4x5 ones"):
        inception_features(ImageShape(2, 4, 5))
    with pytest.raises(BadInput, match=r"--inception .*none\.pt is not a file"):
        inception_features(GREY, tmp_path / "none.pt")


def test_download_checks_the_sha256(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    good = b"the published bytes"
    file = replace(INCEPTION_FILE, size=len(good), sha256=hashlib.sha256(good).hexdigest())
    offer = replace(INCEPTION, files=(file,))
    wrong = pytest.raises(DigestMismatch, match=f"does not have its SHA-256 {file.sha256}")
    with serve({file.name: b"some other bytes..."}) as mirror, wrong:
        list(offer.run(tmp_path, mirrors=[mirror.url("good")]))
    assert not (tmp_path / "inception" / file.name).exists()
    with serve({file.name: good}) as mirror:
        list(offer.run(tmp_path, mirrors=[mirror.url("good")]))
    assert (tmp_path / "inception" / file.name).read_bytes() == good


# --- pixels


def test_pixels_are_the_values_as_they_are() -> None:
    x = images(3, GREY)
    assert torch.equal(PixelFeatures().of(x), x)
    assert PixelFeatures().probabilities(x) is None
    assert PixelFeatures().name == "pixels"


# --- the classifier


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("classifiers") / "digits"
    finish(train_classifier(Source.parse("digits"), SHORT, folder, command="made by a test"))
    return folder


def test_a_classifier_learns_and_says_how_well(trained: Path) -> None:
    """3,000 images: 1.9 passes. Chance is 0.1; what the manifest says is what the saved weights do."""
    manifest = json.loads((trained / "manifest.json").read_text())
    assert manifest["held_out_accuracy"] > 0.7
    assert (manifest["held_out_images"], manifest["classes"], manifest["features"]) == (180, 10, 64)
    assert 80_000 < manifest["parameters"] < 120_000
    source, classifier = Source.parse("digits"), load_classifier(trained)
    reported = classifier.probabilities(source.held_out.x0(slice(None))).argmax(dim=1)
    share = float((reported == source.held_out.labels).double().mean())
    assert share == pytest.approx(manifest["held_out_accuracy"], abs=0.012)  # float16 may turn two images


def test_features_and_probabilities_belong_together(trained: Path) -> None:
    classifier, x = load_classifier(trained), images(6, ImageShape(1, 8, 8))
    assert classifier.name == "digits classifier"
    features = classifier.of(x)
    assert features.shape == (6, 64)
    head = classifier.net.head
    torch.testing.assert_close((features @ head.weight.T + head.bias).softmax(dim=1), classifier.probabilities(x))
    torch.testing.assert_close(torch.cat([classifier.of(one[None]) for one in x]), features, rtol=1e-4, atol=1e-5)
    assert classifier.key() != load_classifier(trained).key() | {"sha256": "0"}


def test_the_same_plan_gives_the_same_weights(tmp_path: Path) -> None:
    plan = replace(SHORT, images=300)
    made = [finish(train_classifier(Source.parse("digits"), plan, tmp_path / name)) for name in "ab"]
    assert made[0]["sha256"] == made[1]["sha256"]
    other = finish(train_classifier(Source.parse("digits"), replace(plan, seed=4), tmp_path / "c"))
    assert other["sha256"] != made[0]["sha256"]


def test_images_are_moved_and_mirrored_within_their_border() -> None:
    from locality.features.classifier_training import _moved

    picture = torch.arange(20.0).reshape(1, 1, 4, 5).repeat(200, 1, 1, 1)
    still = _moved(picture, replace(SHORT, shift=0), torch.Generator().manual_seed(0))
    assert torch.equal(still, picture)
    mirrored = _moved(picture, replace(SHORT, shift=0, flips=True), torch.Generator().manual_seed(0))
    share = float((mirrored == picture.flip(3)).flatten(1).all(dim=1).double().mean())
    assert 0.35 < share < 0.65
    moved = {tuple(image.flatten().tolist()) for image in _moved(picture, SHORT, torch.Generator().manual_seed(0))}
    assert len(moved) == 9  # one pixel each way


def test_closing_a_training_writes_nothing(tmp_path: Path) -> None:
    work = train_classifier(Source.parse("digits"), SHORT, tmp_path / "c")
    first = next(work)
    assert first.total == 3000
    assert first.numbers["loss"] > 0
    work.close()
    assert not (tmp_path / "c").exists()


def test_a_classifier_is_found_by_dataset_and_serves_its_edits(trained: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    source = Source.parse("digits")
    with pytest.raises(DataUnavailable, match=r"No classifier is trained on digits\. Make one: python -m locality"):
        find_classifier(source, store)
    with pytest.raises(DataUnavailable, match="faces has no class labels, so no classifier: compare by pixels"):
        find_classifier(Source.parse("faces", 3), store)
    place = tmp_path / "store" / FOLDER / "digits"
    place.parent.mkdir(parents=True)
    place.symlink_to(trained)
    assert find_classifier(source, store) == place
    assert find_classifier(Source.parse("digits+blur"), store) == place
    with pytest.raises(BadInput, match=r"reads 1x8x8 images; those of faces are 3x32x32\."):
        find_classifier(Source.parse("faces"), store, trained)


def test_damaged_classifiers_are_refused(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"holds no classifier \(FileNotFoundError"):
        load_classifier(tmp_path)
    folder = tmp_path / "c"
    folder.mkdir()
    manifest = json.loads((trained / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "kind": "network"}))
    with pytest.raises(BadInput, match="kind 'network'"):
        load_classifier(folder)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DigestMismatch, match="is missing or is not the file its manifest describes"):
        load_classifier(folder)
    (folder / "weights.safetensors").write_bytes((trained / "weights.safetensors").read_bytes())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "classes": 7}))
    with pytest.raises(CheckpointMismatch, match="fits another architecture"):
        load_classifier(folder)


def test_without_labels_there_is_nothing_to_learn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match="faces has no class labels to learn"):
        finish(train_classifier(Source.parse("faces", 10), SHORT, tmp_path / "c"))
    whole = Digits.load
    monkeypatch.setattr(Digits, "load", lambda self, split="train": _one_class(whole(self, split)))
    with pytest.raises(BadInput, match="All images of digits are of one class"):
        finish(train_classifier(Source.parse("digits"), SHORT, tmp_path / "c"))


def _one_class(data: Dataset) -> Dataset:
    return replace(data, labels=torch.zeros(len(data), dtype=torch.int64))


def test_the_command_trains_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shell = Shell(capsys, monkeypatch)
    got = shell("classifier", "digits", "--images", 200, "--out", tmp_path / "c", "--option", "seed=5", "--json").json
    assert (got["dataset"], got["train"]["seed"], got["train"]["images"]) == ("digits", 5, 200)
    assert got["command"].startswith("python -m locality classifier digits --images 200")
    assert (tmp_path / "c" / "weights.safetensors").stat().st_size < 300_000
    text = shell("classifier", "digits", "--images", 100, "--out", tmp_path / "c").out
    assert "of 180 held-out images right" in text
    assert "images=0 is outside" in refused(shell("classifier", "digits", "--images", 0, "--out", tmp_path / "c"))
    offer = shell("download", "inception", "--dry-run", "--json").json
    assert (offer["dataset"], offer["bytes"]) == ("inception", 95_607_719)
