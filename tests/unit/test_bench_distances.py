"""Distances of the benchmark: called FID only through Inception, and only where images outnumber features."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from locality.datasets import Source
from locality.errors import BadInput, DataUnavailable, DigestMismatch
from locality.features import (
    ClassifierPlan,
    PixelFeatures,
    load_classifier,
    train_classifier,
)
from locality.metrics import frechet_distance, inception_score, kid
from locality.store import Store
from locality.studies import Bench, Sampling, bench, finish, found_bench, sample
from tests.benches import network, plan, run
from tests.inception import stand_in

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> str:
    return network(tmp_path_factory.mktemp("networks") / "a")


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("classifiers") / "digits"
    finish(train_classifier(Source.parse("digits"), ClassifierPlan(images=500), folder))
    return folder


class Quarters(torch.nn.Module):
    """Stands for Inception: two features, the means of the upper and the lower half."""

    def forward(self, x: Tensor, return_features: bool = False, no_output_bias: bool = False) -> Tensor:
        halves = torch.stack([x[:, :, :4].float().mean(dim=[1, 2, 3]), x[:, :, 4:].float().mean(dim=[1, 2, 3])], dim=1)
        return halves if return_features else torch.softmax(halves / 30, dim=1)


@pytest.fixture
def inception(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return stand_in(Quarters(), tmp_path, monkeypatch)


def reported(made: Bench, model: str) -> dict[tuple[str, str], dict[str, object]]:
    return {(row["metric"], row["features"]): row for row in made.rows() if row["model"] == model and "features" in row}


def test_distances_are_those_of_images_drawn_alone(store: Store, net: str, classifier: Path) -> None:
    """70 images outnumber the 64 pixels and the 64 features: the Frechet distance is reported, by its own name."""
    source, question = Source.parse("digits"), plan(net, count=70, steps=2, features="classifier+pixels", real=600)
    made = finish(bench(source, question, store=store, classifier=classifier))
    images = finish(sample(source, "wiener", Sampling(count=70, steps=2, seed=4), store=store)).image
    real, rows = source.train.x0(slice(0, 600)), reported(made, "wiener")
    for extractor in (PixelFeatures(), load_classifier(classifier)):
        x, y = extractor.of(images), extractor.of(real)
        for metric, want in (("kid", kid(x, y)), ("frechet", frechet_distance(x, y))):
            row = rows[metric, extractor.name]
            assert row["mean"] == pytest.approx(want.mean, rel=2e-3, abs=1e-5)  # float32 features of other batches
            assert (row["n"], row["real"], row["feature_dimension"]) == (70, 600, 64)
        assert rows["kid", extractor.name]["stderr"] == pytest.approx(kid(x, y).stderr, rel=2e-3)
    probs = load_classifier(classifier).probabilities(images)
    assert rows["class_score", "digits classifier"]["mean"] == pytest.approx(inception_score(probs).mean, rel=1e-3)
    assert not {metric for metric, _ in rows} & {"fid", "is"}
    assert ("class_score", "pixels") not in rows
    control = reported(made, "held-out images")["frechet", "pixels"]
    assert control["n"] == 70
    assert control["mean"] < rows["frechet", "pixels"]["mean"]  # real images are nearer than Wiener's


def test_with_fewer_images_than_features_there_is_kid_alone(store: Store, net: str, classifier: Path) -> None:
    question = plan(net, count=20, steps=2, features="pixels+classifier", real=100)
    made = finish(bench(Source.parse("digits"), question, store=store, classifier=classifier))
    assert set(reported(made, "wiener")) == {("kid", "pixels"), ("kid", "digits classifier")}
    assert all(math.isfinite(float(row["stderr"])) for row in reported(made, "wiener").values())  # type: ignore[arg-type]


def test_fid_and_is_are_inceptions(store: Store, net: str, inception: Path) -> None:
    question = plan(net, count=6, steps=2, features="inception", real=50)
    made = finish(bench(Source.parse("digits"), question, store=store, inception=inception))
    assert set(reported(made, "wiener")) == {("kid", "inception"), ("fid", "inception"), ("is", "inception")}


def test_another_file_is_refused_before_any_work(store: Store, net: str, inception: Path) -> None:
    inception.write_bytes(b"another")
    with pytest.raises(DigestMismatch, match="so it was not opened"):
        next(bench(Source.parse("digits"), plan(net, features="inception"), store=store, inception=inception))
    with pytest.raises(BadInput, match=r"--inception .* is not a file"):
        next(bench(Source.parse("digits"), plan(net, features="inception"), store=store, inception=inception / "x"))


def test_distances_are_kept_and_need_no_image_again(store: Store, net: str, monkeypatch: pytest.MonkeyPatch) -> None:
    question = plan(net, count=4, features="pixels", real=60)
    first = run(question, store)
    monkeypatch.setattr(PixelFeatures, "of", lambda self, x: pytest.fail("read again"))
    assert found_bench(Source.parse("digits"), question, store=store).distances == first.distances
    assert run(question, store).distances == first.distances
    assert first.distances


def test_one_image_has_no_distance(store: Store, net: str) -> None:
    made = run(plan(net, count=1, features="pixels", real=60), store)
    assert made.distances == ()


def test_a_missing_classifier_is_noted_or_reported(store: Store, net: str, classifier: Path) -> None:
    """Noted where pixels were asked for too; an error where nothing else was."""
    made = run(plan(net, count=2, features="classifier+pixels", real=60), store)
    assert {features for _, features in reported(made, "wiener")} == {"pixels"}
    assert any("No classifier is trained on digits" in note for note in made.notes)
    with pytest.raises(DataUnavailable, match="No classifier is trained on digits"):
        next(bench(Source.parse("digits"), plan(net, features="classifier"), store=store))
    with pytest.raises(BadInput, match="holds no classifier"):
        next(bench(Source.parse("digits"), plan(net, features="classifier"), store=store, classifier=classifier.parent))
