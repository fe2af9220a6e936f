"""The benchmark's numbers against plain computations by other paths; cells made once; refusals before any work."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor

from locality.datasets import Source
from locality.errors import BadInput, DataUnavailable, LocalityError, NonFinite, TooLarge, UnknownName
from locality.metrics import explained, pearson
from locality.networks import NetworkDenoiser
from locality.noise import ASIDE, unit_noise
from locality.published import GOLDDIFF_TABLE, Figure
from locality.store import Store
from locality.studies import CellFinished, Sampling, bench, finish, found_bench, open_denoiser, sample
from locality.studies.benchmark import leaderboard, markdown, text_rows
from locality.studies.benchmark.ship import pack, unpack
from locality.studies.models import Model
from locality.types import Denoiser
from tests.benches import Calls, network, plan, run, shrinking
from tests.made_up import made_up

pytestmark = pytest.mark.usefixtures("one_thread")

SAMPLING = Sampling(count=5, steps=3, seed=4)


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("networks")
    return network(folder / "a", 0), network(folder / "b", 1)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """For tests that look at numbers alone: what one has made, another finds."""
    made = Store(tmp_path_factory.mktemp("shared"))
    yield made
    made.close()


@pytest.fixture
def two() -> Iterator[tuple[Calls, Calls]]:
    with ExitStack() as stack:
        yield stack.enter_context(shrinking("weak", 0.4)), stack.enter_context(shrinking("strong", 0.9))


def denoiser(source: Source, text: str, store: Store) -> Denoiser:
    return finish(open_denoiser(source, text, store=store))


# --- numbers, each by another path


def test_scores_of_images_are_those_of_samples_drawn_alone(
    shared: Store, digits: Source, nets: tuple[str, str], two: tuple[Calls, Calls]
) -> None:
    """`sample` draws model and network by themselves, in one batch, from the same seed. float32 networks: 1e-4."""
    made = run(plan(nets[0], "weak", "strong"), shared)
    u = finish(sample(digits, nets[0], SAMPLING, store=shared))
    for name in ("weak", "strong", "wiener"):
        a = finish(sample(digits, name, SAMPLING, store=shared))
        torch.testing.assert_close(made.values(name, "r2_final"), explained(a.image, u.image), rtol=0, atol=1e-4)
        torch.testing.assert_close(made.values(name, "pearson"), pearson(a.image, u.image), rtol=0, atol=1e-4)
        mse = (a.image - u.image).double().square().mean(dim=1)
        torch.testing.assert_close(made.values(name, "mse"), mse, rtol=1e-4, atol=0)
        mse01 = (a.image.clamp(-1, 1) - u.image.clamp(-1, 1)).double().square().mean(dim=1) / 4
        torch.testing.assert_close(made.values(name, "mse01"), mse01, rtol=1e-4, atol=0)
        for i, sigma in enumerate(SAMPLING.sigmas()):
            want = explained(a.x0_hat[i], u.x0_hat[i])
            torch.testing.assert_close(made.values(name, "r2_own", sigma), want, rtol=0, atol=1e-4)
    assert made.values("weak", "r2_own", SAMPLING.sigmas()[-1]).equal(made.values("weak", "r2_final"))


def test_on_trajectory_both_are_asked_at_the_networks_images(
    shared: Store, digits: Source, nets: tuple[str, str], two: tuple[Calls, Calls]
) -> None:
    made = run(plan(nets[0], "weak"), shared)
    u, each = finish(sample(digits, nets[0], SAMPLING, store=shared)), []
    for i, sigma in enumerate(SAMPLING.sigmas()):
        want = explained(0.4 * u.x[i] / (1 + sigma**2), u.x0_hat[i])
        torch.testing.assert_close(made.values("weak", "r2_trajectory", sigma), want, rtol=0, atol=1e-4)
        each.append(want)
    torch.testing.assert_close(made.values("weak", "r2_trajectory"), torch.stack(each).mean(dim=0), rtol=0, atol=1e-4)
    assert not made.values("weak", "r2_trajectory").equal(made.values("weak", "r2_final"))


def test_errors_on_held_out_images_are_the_plain_sum(
    shared: Store, digits: Source, nets: tuple[str, str], two: tuple[Calls, Calls]
) -> None:
    """Ratio of the mean errors, the same noise for both; overall the geometric mean; the delta method's error."""
    made = run(plan(nets[0], "weak"), shared)
    x0 = digits.held_out.x0(slice(0, 5))
    eps, wiener = unit_noise(range(5), 64, 4, step=ASIDE), denoiser(digits, "wiener", shared)
    ratios = []
    for sigma in (0.5, 2.0):
        x = x0 + sigma * eps
        ours, theirs = (0.4 * x / (1 + sigma**2) - x0).square().sum(1), (wiener(x, sigma) - x0).square().sum(1)
        ratio = float(ours.double().mean() / theirs.double().mean())
        found = made.summary("weak", "denoise_ratio", sigma)
        assert found.mean == pytest.approx(ratio, rel=1e-5)
        left_out = [float(np.delete(ours.numpy(), i).mean() / np.delete(theirs.numpy(), i).mean()) for i in range(5)]
        assert found.stderr == pytest.approx(scipy.stats.tstd(left_out) * 4 / 5**0.5, rel=0.1)  # jackknife: O(1/n)
        ratios.append(ratio)
    overall = made.summary("weak", "denoise_ratio")
    assert overall.mean == pytest.approx(math.sqrt(ratios[0] * ratios[1]), rel=1e-5)
    assert made.summary("wiener", "denoise_ratio").mean == pytest.approx(1.0)
    assert made.summary("wiener", "denoise_ratio").stderr < 1e-12


def test_a_ratio_waits_for_wieners_errors(shared: Store, nets: tuple[str, str]) -> None:
    """Of a run looked at before Wiener's held-out images are denoised; the other numbers are there."""
    made = run(plan(nets[0], "nearest"), shared)
    wiener = made.result("wiener")
    scores = {name: score for name, score in wiener.scores.items() if name != "errors"}
    waiting = replace(wiener, scores=scores, have={**wiener.have, "held_out": torch.zeros(5, dtype=torch.bool)})
    early = replace(made, results=tuple(waiting if r is wiener else r for r in made.results))
    for name in (nets[0], "nearest", "wiener"):
        assert early.summary(name, "denoise_ratio").n == early.summary(name, "denoise_ratio", 2.0).n == 0
    assert early.summary("nearest", "r2_final") == made.summary("nearest", "r2_final")
    assert early.rows()
    assert early.best("denoise_ratio") is None


def test_nearest_training_images_of_models_and_of_held_out_ones(
    shared: Store, digits: Source, nets: tuple[str, str]
) -> None:
    """By all pairs of distances; `nearest` copies, held-out images do not."""
    made = run(plan(nets[0], "nearest"), shared)
    train = digits.train.x0(slice(None)).double()
    drawn = {
        "nearest": finish(sample(digits, "nearest", SAMPLING, store=shared)).image,
        nets[0]: finish(sample(digits, nets[0], SAMPLING, store=shared)).image,
        "held-out images": digits.held_out.x0(slice(0, 5)),
    }
    for name, images in drawn.items():
        first, second = torch.cdist(images.double(), train).topk(2, largest=False).values.T
        torch.testing.assert_close(made.values(name, "nn_distance"), first, rtol=1e-4, atol=1e-5)
        assert made.summary(name, "memorised").mean == float((first < second / 3).double().mean())
    assert made.summary("nearest", "memorised").mean == 1.0
    assert made.result("held-out images").kind == "control"


def test_differences_are_paired_over_the_same_images(
    shared: Store, nets: tuple[str, str], two: tuple[Calls, Calls]
) -> None:
    made = run(plan(nets[0], "weak", "strong"), shared)
    best = made.best("r2_final")
    means = {name: float(made.values(name, "r2_final").mean()) for name in ("wiener", "weak", "strong")}
    assert best == max(means, key=lambda name: means[name])
    rows = [r for r in made.differences() if r["role"] == "best" and r["metric"] == "r2_final" and r["sigma"] is None]
    assert {row["model"] for row in rows} == {"wiener", "mean", "weak", "strong"} - {best}
    for row in rows:
        test = scipy.stats.ttest_rel(made.values(row["model"], "r2_final"), made.values(best, "r2_final"))
        assert (row["low"], row["high"]) == pytest.approx(test.confidence_interval(0.95), rel=1e-6)
    by_level = [r for r in made.differences() if r["metric"] == "r2_trajectory" and r["sigma"] is not None]
    assert {row["sigma"] for row in by_level} == set(SAMPLING.sigmas())
    ratios = [r for r in made.differences() if r["metric"] == "denoise_ratio" and r["sigma"] == 2.0]
    assert any(row["to"] == "wiener" for row in ratios)


def test_the_mean_image_is_in_every_table(shared: Store, digits: Source, nets: tuple[str, str]) -> None:
    """Its R2 is that of one picture for all: by hand from the training images."""
    made = run(plan(nets[0]), shared)
    u = finish(sample(digits, nets[0], SAMPLING, store=shared)).image
    mean = digits.train.x0(slice(0, len(digits.train))).mean(dim=0).expand_as(u)
    torch.testing.assert_close(made.values("mean", "r2_final"), explained(mean, u), rtol=0, atol=1e-5)
    assert made.result("mean").kind == "analytic"


def test_r2_where_methods_differ_is_the_mean_over_some_steps(shared: Store, nets: tuple[str, str]) -> None:
    """Of the grid's sigmas 9.49, 1.46 and .01 the last is outside .3 to 10."""
    made = run(plan(nets[0]), shared)
    levels = [sigma for sigma in SAMPLING.sigmas() if 0.3 <= sigma <= 10]
    assert len(levels) == 2
    want = torch.stack([made.values("wiener", "r2_trajectory", sigma) for sigma in levels]).mean(dim=0)
    torch.testing.assert_close(made.values("wiener", "r2_middle"), want, rtol=0, atol=1e-12)
    assert not made.values("wiener", "r2_middle").equal(made.values("wiener", "r2_trajectory"))


def test_errors_at_the_sampling_levels_are_summed_where_methods_differ(
    shared: Store, digits: Source, nets: tuple[str, str], two: tuple[Calls, Calls]
) -> None:
    made = run(plan(nets[0], "weak"), shared)
    x0, eps = digits.held_out.x0(slice(0, 5)), unit_noise(range(5), 64, 4, step=ASIDE)
    wiener, sums = denoiser(digits, "wiener", shared), np.zeros(2)
    for sigma in SAMPLING.sigmas():
        x = x0 + sigma * eps
        errors = [float((a - x0).double().square().sum()) for a in (0.4 * x / (1 + sigma**2), wiener(x, sigma))]
        sums += errors if 0.3 <= sigma <= 10 else 0.0
        found = made.summary("weak", "denoise_steps", sigma)
        assert found.mean == pytest.approx(errors[0] / errors[1], rel=1e-4)
    assert made.summary("weak", "denoise_steps").mean == pytest.approx(sums[0] / sums[1], rel=1e-4)
    assert [sigma for sigma, _ in made.curve("weak", "denoise_steps")] == list(SAMPLING.sigmas())


def test_models_are_compared_with_a_second_reference_too(
    shared: Store, digits: Source, nets: tuple[str, str], two: tuple[Calls, Calls]
) -> None:
    """R2 against the second network's images from the same noise; of the reference too, and with its own steps."""
    made = run(plan(nets[0], "weak", "weak@steps=4", ceiling=nets[1]), shared)
    for name, text, steps in (("weak", "weak", 3), ("weak@steps=4", "weak", 4), (nets[0], nets[0], 3)):
        how = replace(SAMPLING, steps=steps)
        a, u = (finish(sample(digits, one, how, store=shared)).image for one in (text, nets[1]))
        torch.testing.assert_close(made.values(name, "r2_second"), explained(a, u), rtol=0, atol=1e-4)
    assert not len(made.values(nets[1], "r2_second"))
    assert not len(run(plan(nets[0], "weak"), shared).values("weak", "r2_second"))


def test_networks_that_were_not_trained_alike_are_told_apart(store: Store) -> None:
    for name, flips in (("one", False), ("two", True)):
        folder = store.local / "networks" / f"digits-{name}"
        network(folder, len(name) + flips)
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest |= {"train": {"flips": flips}, "images_seen": 1000}
        (folder / "manifest.json").write_text(json.dumps(manifest))
    made = run(plan("one", count=1, ceiling="two"), store)
    assert made.result("two").notes == ("trained with flips, one without flips",)
    assert not any("flips" in note for note in made.notes)
    mirrored = run(plan("two", "ls:window=3,flips=true", count=1, ceiling="none"), store)
    (said,) = (note for note in mirrored.notes if "flips;" in note)
    assert said.startswith("two was trained with flips; analytic models have the images as they are, ")
    assert said.endswith("but for ls:window=3,flips=true.")


def test_what_a_network_says_of_its_training_stands_in_the_table(store: Store) -> None:
    for seed, name in enumerate(("one", "two")):
        network(store.local / "networks" / f"digits-{name}", seed)
    place = store.local / "networks" / "digits-two" / "manifest.json"
    place.write_text(json.dumps(json.loads(place.read_text()) | {"note": "trained twice"}))
    made = run(plan("one", count=1, ceiling="two"), store)
    assert made.result("two").notes == ("trained twice",)


def test_a_model_that_uses_labels_stands_beside_one_that_does_not(shared: Store, nets: tuple[str, str]) -> None:
    made = run(plan(nets[0], "gaussian_mixture:components=3", count=1), shared)
    names = [result.name for result in made.results]
    assert names[3:5] == ["gaussian_mixture:components=3", "gaussian_mixture:components=3,groups=clusters"]
    assert "uses class labels" in made.result(names[3]).notes
    assert "uses class labels" not in made.result(names[4]).notes


def test_the_published_table_stands_beside_ours(
    shared: Store, digits: Source, nets: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """R2 with n - 1 by numpy; a figure where one is published; what differs."""
    figures = [Figure("digits", "Digits", "Wiener", "r2_final", 0.5, "mean", GOLDDIFF_TABLE, "")]
    monkeypatch.setattr("locality.studies.benchmark.paper.figures_of", lambda name: figures)
    made = run(plan(nets[0], presets=("paper",)), shared, first=100)
    paper = made.to_json()["published"]
    rows = {(row["published_as"], row["metric"]): row for row in paper["rows"]}
    assert {said for said, _ in rows} == {"Wiener", "Optimal", "Kamb-Ganguli", "PCA locality", "GoldDiff"}
    u = finish(sample(digits, nets[0], SAMPLING, store=shared)).image.double().numpy()
    a = finish(sample(made_source(100), "wiener", SAMPLING, store=shared)).image.double().numpy()
    want = np.mean(1 - ((a - u) ** 2).mean(axis=1) / u.var(axis=1, ddof=1))
    assert rows["Wiener", "r2_final"]["ours"] == pytest.approx(want, abs=1e-4)
    assert rows["Wiener", "r2_final"]["published"] == 0.5
    assert rows["Wiener", "mse01"]["published"] is None
    assert any("not the authors' checkpoint" in line for line in paper["differs"])
    assert any(line.startswith("5 samples") for line in paper["differs"])
    assert run(plan(nets[0]), shared).to_json()["published"] is None


def made_source(first: int) -> Source:
    return Source.parse("digits", first)


def test_a_benchmark_stored_before_says_what_was_not_measured(shared: Store, nets: tuple[str, str]) -> None:
    """Without the scores of today it is read, ranked and printed; what it lacks is said."""
    made = run(plan(nets[0], ceiling=nets[1]), shared)
    new = ("r2_second", "errors_steps")
    results = tuple(
        replace(
            result,
            scores={name: values for name, values in result.scores.items() if name not in new},
            have={name: mask for name, mask in result.have.items() if name not in ("beside", "levels")},
        )
        for result in made.results
        if result.name != "mean"
    )
    before = unpack(pack(replace(made, results=results)))
    headings, rows = text_rows(leaderboard(before))
    for title in ("R2 final, second network", "error / Wiener, sampling levels"):
        assert {row[headings.index(title)] for row in rows} == {"not measured"}
    assert before.differences()
    assert json.dumps(before.to_json())
    assert "not measured" not in markdown(made)


def test_the_second_network_is_drawn_from_the_same_noise(shared: Store, digits: Source, nets: tuple[str, str]) -> None:
    made = run(plan(nets[0], ceiling=nets[1]), shared)
    assert (made.second, made.result(nets[1]).kind) == (nets[1], "ceiling")
    a, u = (finish(sample(digits, net, SAMPLING, store=shared)).image for net in (nets[1], nets[0]))
    torch.testing.assert_close(made.values(nets[1], "r2_final"), explained(a, u), rtol=0, atol=1e-4)
    assert made.best("r2_final") == "wiener"  # the best model: the second network is no model


def test_the_second_network_is_the_one_with_the_least_error(store: Store, digits: Source) -> None:
    """Those of a sweep's strength 0 count, by their architecture: their images are these."""
    root, unmoved = store.local / "networks", "digits+pattern:mask=X,strength=0"
    network(root / "digits-first", 1, ratio=0.9)
    assert run(plan("first", count=2, ceiling="auto"), store).second is None
    network(root / "digits-second", 2, ratio=0.7)
    network(root / "moved", 3, dataset="digits+pattern:mask=X,strength=1", ratio=0.1)
    assert run(plan("first", count=2, ceiling="auto"), store).second == "second"
    network(root / "unmoved", 4, dataset=unmoved, ratio=0.6)
    made = run(plan("first", count=2, ceiling="auto"), store)
    assert (made.second, made.result("resnet:channels=8").kind) == ("resnet:channels=8", "ceiling")
    assert made.result("resnet:channels=8").notes == (f"trained on {unmoved}, which leaves the images",)


def test_rows_name_everything_and_the_reference_is_not_reported_of_itself(
    shared: Store, nets: tuple[str, str], two: tuple[Calls, Calls]
) -> None:
    made = run(plan(nets[0], "weak"), shared)
    rows = made.rows()
    keys = ("model", "kind", "metric", "sigma", "mean", "stderr", "n", "undefined", "seconds_per_step", "peak_bytes")
    assert all(tuple(row) == keys for row in rows)
    assert {row["metric"] for row in rows if row["model"] == nets[0]} == {
        "denoise_ratio",
        "denoise_steps",
        "memorised",
        "nn_distance",
    }
    reported = {row["metric"] for row in rows if row["model"] == "weak"}
    assert reported == {
        "r2_final", "r2_own", "r2_trajectory", "r2_middle", "pearson", "mse", "mse01", "denoise_ratio",
        "denoise_steps", "memorised", "nn_distance",
    }  # fmt: skip
    assert {row["sigma"] for row in rows if row["metric"] == "r2_trajectory"} == {None, *SAMPLING.sigmas()}
    weak = made.result("weak").facts
    assert weak["seconds_per_step"] > 0
    assert weak["batch"] == 5
    assert weak["peak_bytes"] is None or weak["peak_bytes"] > 10**7
    assert set(reported) <= set(made.to_json()["about"])


# --- settings of an entry


def test_an_entry_has_its_own_steps_clipping_and_images(shared: Store, digits: Source, nets: tuple[str, str]) -> None:
    """The network is sampled with the same steps and clipping; a model with fewer images is fitted to those."""
    entries = ("wiener@steps=4", "wiener@clip=false", "wiener@first=100", "nearest@first=50")
    made = run(plan(nets[0], *entries), shared)
    for entry, sampling in {
        "wiener@steps=4": Sampling(count=5, steps=4, seed=4),
        "wiener@clip=false": Sampling(count=5, steps=3, seed=4, clip=False),
    }.items():
        a, u = (finish(sample(digits, text, sampling, store=shared)).image for text in ("wiener", nets[0]))
        torch.testing.assert_close(made.values(entry, "r2_final"), explained(a, u), rtol=0, atol=1e-4)
    few = Source.parse("digits", 100)
    a, u = finish(sample(few, "wiener", SAMPLING, store=shared)).image, finish(sample(digits, nets[0], SAMPLING)).image
    torch.testing.assert_close(made.values("wiener@first=100", "r2_final"), explained(a, u), rtol=0, atol=1e-4)
    assert made.result("wiener@first=100").notes == ("fitted to the first 100 of 1,617 training images",)
    assert made.summary("nearest@first=50", "memorised").mean == 1.0
    assert made.levels("wiener@steps=4", "r2_own") == tuple(Sampling(steps=4).sigmas())


def test_fewer_training_images_for_all(shared: Store, nets: tuple[str, str]) -> None:
    made = run(plan(nets[0], "nearest"), shared, first=60)
    assert made.train_images == 60
    assert made.result("nearest").notes == ("fitted to the first 60 of 1,617 training images",)
    assert made.summary("nearest", "memorised").mean == 1.0


def test_what_is_not_exact_is_noted(shared: Store, nets: tuple[str, str]) -> None:
    models = ("optimal:first=30", "optimal:neighbours=9", "optimal:classes=1-2", "golddiff:first=200")
    made = run(plan(nets[0], *models, "pca_locality:first=20,softmax=batch,batch_size=7", count=1), shared)
    notes = {result.name: " ".join(result.notes) for result in made.results}
    assert notes["optimal:first=30"] == "averages the first 30 of 1,617 training images"
    assert notes["optimal:neighbours=9"] == "averages the 9 nearest images only"
    assert notes["optimal:classes=1-2"] == "averages the classes 1, 2 only"
    assert "another estimator" in notes["golddiff:first=200"]
    assert "normalised in batches of 7" in notes["pca_locality:first=20,softmax=batch,batch_size=7"]
    assert notes["wiener"] == ""


def test_ablations_are_reported_against_their_baseline(shared: Store, nets: tuple[str, str]) -> None:
    made = run(plan(nets[0], presets=("clip",), count=2), shared, first=20)
    rows = {(row["preset"], row["model"], row["metric"]): row for row in made.ablations()}
    row = rows["clip", "pca_locality@clip=false", "r2_final"]
    assert row["to"] == "pca_locality"
    want = made.values("pca_locality@clip=false", "r2_final") - made.values("pca_locality", "r2_final")
    assert row["mean"] == pytest.approx(float(want.mean()))
    assert ("clip", "wiener@clip=false", "r2_trajectory") in rows
    assert not any(metric == "denoise_ratio" for _, _, metric in rows)  # clipping is nothing to one denoising call


def test_one_image_has_no_error_bar(shared: Store, nets: tuple[str, str], two: tuple[Calls, Calls]) -> None:
    made = run(plan(nets[0], "weak", count=1), shared)
    assert any("One image: nothing has an error bar" in note for note in made.notes)
    assert all(row["stderr"] is None and row["n"] == 1 for row in made.rows())
    assert all(row["low"] is None and row["mean"] is not None for row in made.differences())


def test_images_without_a_defined_score_are_counted(shared: Store, nets: tuple[str, str]) -> None:
    """A model that answers a constant: its Pearson correlation is not defined for any image, its R2 is."""
    with made_up("flat", lambda images, reference: lambda x, sigma: torch.zeros_like(x)):
        made = run(plan(nets[0], "flat"), shared)
    found = made.summary("flat", "pearson")
    assert (found.n, found.undefined) == (0, 5)
    assert made.summary("flat", "r2_final").n == 5
    row = next(row for row in made.rows() if row["model"] == "flat" and row["metric"] == "pearson")
    assert (row["mean"], row["stderr"], row["undefined"]) == (None, None, 5)


def test_edited_datasets_are_datasets(shared: Store, tmp_path: Path) -> None:
    source = Source.parse("digits+blur")
    net = network(tmp_path / "net", dataset=source.name)
    made = finish(bench(source, plan(net, "nearest", count=2), store=shared))
    assert made.dataset == source.name
    assert made.summary("nearest", "memorised").mean == 1.0
    assert source.name in made.to_json()["command"]


# --- cells


def finished(work: object) -> tuple[list[CellFinished], object]:
    events: list[CellFinished] = []
    made = finish(work, lambda event: events.append(event) if isinstance(event, CellFinished) else None)  # type: ignore[arg-type, var-annotated]
    return events, made


def test_a_finished_cell_is_never_made_again(
    store: Store, digits: Source, nets: tuple[str, str], two: tuple[Calls, Calls]
) -> None:
    first, made = finished(bench(digits, plan(nets[0], "weak", count=20), store=store))
    assert len({event.address for event in first}) == len(first)
    asked = list(two[0].sigmas)
    # 2 cells each: own of 3 steps, trajectory but its first, 2 held-out levels and those of the steps
    assert len(asked) == 2 * (3 + 2 + 2 + 3)
    again, same = finished(bench(digits, plan(nets[0], "weak", count=20), store=store))
    assert again == []
    assert two[0].sigmas == asked
    assert same.to_json() == made.to_json()  # type: ignore[attr-defined]


def test_more_images_and_models_make_only_what_is_new(
    store: Store, digits: Source, nets: tuple[str, str], two: tuple[Calls, Calls]
) -> None:
    """Cells are of 16 images: those of the first 32 serve a benchmark of 40 as they are."""
    _, few = finished(bench(digits, plan(nets[0], "weak", count=32), store=store))
    before = two[0].images
    more, many = finished(bench(digits, plan(nets[0], "weak", "strong", count=40), store=store))
    assert {event.images for event in more if event.model == "weak"} == {range(32, 40)}
    assert two[0].images - before == 8 * (3 + 2 + 2 + 3)
    small, large = (made.values("weak", "r2_final") for made in (few, many))  # type: ignore[attr-defined]
    assert torch.equal(large[:32], small)


def test_another_reference_draws_no_model_again(
    store: Store, digits: Source, nets: tuple[str, str], two: tuple[Calls, Calls]
) -> None:
    """The model's own images do not depend on the network: only its answers at the other network's images are new."""
    run(plan(nets[0], "weak"), store)
    before = len(two[0].sigmas)
    made = run(plan(nets[1], "weak"), store)
    assert len(two[0].sigmas) - before == 2
    a, u = (finish(sample(digits, text, SAMPLING)).image for text in ("weak", nets[1]))
    torch.testing.assert_close(made.values("weak", "r2_final"), explained(a, u), rtol=0, atol=1e-4)


def test_settings_that_change_nothing_share_their_cells(
    store: Store, nets: tuple[str, str], two: tuple[Calls, Calls]
) -> None:
    """Steps do not matter to held-out errors; a setting that is the usual one is no other model."""
    made = run(plan(nets[0], "weak", "weak@steps=3", "weak@steps=4"), store)
    assert len(two[0].sigmas) == (3 + 2) + (4 + 3) + 2 + 3  # own and trajectory, held out, sampling levels
    assert made.values("weak@steps=4", "denoise_ratio").equal(made.values("weak", "denoise_ratio"))


def test_images_of_later_cells_are_those_drawn_alone(shared: Store, digits: Source, nets: tuple[str, str]) -> None:
    """Image 17 is the first of its cell of one or of four; float tolerance of networks in batches of other sizes."""
    one, four = (run(plan(nets[0], count=count), shared).values("wiener", "r2_final") for count in (17, 20))
    a, u = (finish(sample(digits, text, Sampling(count=20, steps=3, seed=4))).image for text in ("wiener", nets[0]))
    torch.testing.assert_close(four, explained(a, u), rtol=0, atol=1e-4)
    torch.testing.assert_close(one, four[:17], rtol=0, atol=1e-4)


def test_closing_keeps_what_is_finished_and_a_reader_sees_it(
    store: Store, digits: Source, nets: tuple[str, str], two: tuple[Calls, Calls]
) -> None:
    question = plan(nets[0], "weak", "strong", count=20)
    nothing = found_bench(digits, question, store=store)
    assert nothing.missing
    assert nothing.rows() == []
    work = bench(digits, question, store=store)
    events = []
    for event in work:
        events.append(event)
        if isinstance(event, CellFinished):
            seen = found_bench(digits, question, store=store)
            assert len(seen.missing) == len(nothing.missing) - sum(isinstance(e, CellFinished) for e in events)
            if (event.model, event.kind) == ("weak", "own"):
                break
    work.close()
    part = found_bench(digits, question, store=store)
    assert {"model": "weak", "kind": "trajectory", "images": [0, 16]} in part.missing
    values = part.values("weak", "r2_final")
    assert values.isfinite().tolist() == [True] * 16 + [False] * 4
    found = part.summary("weak", "r2_final")
    assert (found.n, found.undefined) == (16, 0)
    rest, made = finished(bench(digits, question, store=store))
    assert len(rest) == len(part.missing)
    torch.testing.assert_close(made.values("weak", "r2_final")[:16], values[:16], rtol=0, atol=0)  # type: ignore[attr-defined]


def test_everybody_is_seen_before_anybody_is_done(
    store: Store, digits: Source, nets: tuple[str, str], two: tuple[Calls, Calls]
) -> None:
    events, _ = finished(bench(digits, plan(nets[0], "weak", "strong", count=40), store=store))
    first = [event.images.start == 0 for event in events]
    assert first == sorted(first, reverse=True)
    later = [event.model for event in events if event.images.start > 0]
    assert [name for i, name in enumerate(later) if later[i - 1 : i] != [name]] == list(dict.fromkeys(later))


def test_no_model_is_opened_more_than_twice(
    store: Store,
    digits: Source,
    nets: tuple[str, str],
    two: tuple[Calls, Calls],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also one with steps of its own, beside which the second network is opened to draw."""
    opened: list[str] = []
    usual = Model.open
    monkeypatch.setattr(
        Model, "open", lambda self, **rest: opened.append(str(self.spec and self.spec.name)) or usual(self, **rest)
    )
    run(plan(nets[0], "weak@steps=2", count=50, ceiling=nets[1]), store)
    assert opened.count("weak") == 2
    assert opened.count("None") <= 1 + 2 * 2  # the reference, once; the second network for itself and beside weak


def test_progress_goes_up_to_the_end_with_cells_and_time_left(
    store: Store, digits: Source, nets: tuple[str, str], two: tuple[Calls, Calls]
) -> None:
    events = list(bench(digits, plan(nets[0], "weak", count=20), store=store))
    reported = [event for event in events if "cells" in event.numbers]
    cells = [event.numbers["cells"] for event in reported]
    assert cells == sorted(cells)
    assert reported[-1].numbers["cells"] == reported[-1].numbers["of"]
    assert reported[-1].numbers["seconds_left"] == 0
    assert all(0.0 <= event.fraction <= 1.0 for event in events)
    assert all(event.numbers["seconds_left"] >= 0 for event in reported)


# --- bad input, reported before any work


@pytest.mark.parametrize(
    ("change", "kind", "text"),
    [
        ({"models": ("wienr",)}, UnknownName, "Unknown model for digits 'wienr'. Did you mean 'wiener'?"),
        ({"reference": "unett"}, UnknownName, "Unknown model for digits 'unett'"),
        ({"reference": "unet"}, DataUnavailable, "No unet is trained on digits. Train one"),
        ({"reference": "wiener"}, BadInput, "--reference 'wiener' is an analytic model; a trained network is needed"),
        ({"ceiling": "optimal"}, BadInput, "--second 'optimal' is an analytic model"),
        ({"models": ("wiener@first=2000",)}, BadInput, "digits has 1,617 training images here. Give first=2..1617."),
        ({"models": ("ls:window=8",)}, BadInput, "ls:window='8' is not a window of 8x8 images"),
        ({"models": ("ls:window=published",)}, BadInput, "no window list is published for digits"),
        ({"models": ("pca_locality:tau=2",)}, BadInput, "tau='2' is not a threshold"),
        ({"presets": ("taus",)}, UnknownName, "Unknown preset 'taus'. Did you mean 'tau'?"),
    ],
)
def test_mistakes_are_reported_at_once(
    shared: Store, digits: Source, nets: tuple[str, str], change: dict[str, object], kind: type[Exception], text: str
) -> None:
    named = ("reference", "models")
    models = change.get("models", ())
    others = {name: value for name, value in change.items() if name not in named}
    question = plan(str(change.get("reference", nets[0])), *models, **others)  # type: ignore[misc]
    with pytest.raises(kind) as refusal:
        next(bench(digits, question, store=shared))
    assert text in str(refusal.value)


def test_networks_of_other_sets_and_shapes_are_refused(
    shared: Store, digits: Source, nets: tuple[str, str], tmp_path: Path
) -> None:
    other = network(tmp_path / "other", dataset="mnist")
    with pytest.raises(BadInput, match="was trained on mnist, not on digits: it explains nothing here"):
        next(bench(digits, plan(other), store=shared))
    with pytest.raises(BadInput, match="was trained on mnist, not on digits"):
        next(bench(digits, plan(nets[0], other), store=shared))
    from locality.types import ImageShape

    large = network(tmp_path / "large", shape=ImageShape(1, 16, 16))
    with pytest.raises(BadInput, match="was trained on 1x16x16 images of digits; those of digits are 1x8x8"):
        next(bench(digits, plan(large), store=shared))


def test_the_reference_takes_part_once(shared: Store, digits: Source, nets: tuple[str, str]) -> None:
    with pytest.raises(BadInput, match=r"is the reference itself\. Leave it out"):
        next(bench(digits, plan(nets[0], nets[0]), store=shared))
    with pytest.raises(BadInput, match=r"is the reference itself\. Give another network, or none"):
        next(bench(digits, plan(nets[0], ceiling=nets[0]), store=shared))
    with pytest.raises(BadInput, match=r"a trained network has its images already\. Leave out @first"):
        next(bench(digits, plan(nets[0], f"{nets[1]}@first=9"), store=shared))
    made = run(plan(nets[0], nets[1], ceiling=nets[1], count=1), shared)
    assert made.names.count(nets[1]) == 1


def test_without_a_second_network_there_is_none(shared: Store, nets: tuple[str, str]) -> None:
    made = run(plan(nets[0], ceiling="auto", count=1), shared)
    assert made.second is None
    assert any("No second network is trained on digits" in note for note in made.notes)


def test_images_that_are_not_here_are_reported(shared: Store, nets: tuple[str, str]) -> None:
    with pytest.raises(DataUnavailable, match="The celeba_hq images are not on this machine"):
        next(bench(Source.parse("celeba_hq"), plan(nets[0]), store=shared))


def test_a_model_that_breaks_names_itself_after_all_others_are_finished(
    store: Store, digits: Source, nets: tuple[str, str]
) -> None:
    def broken(x: Tensor, sigma: float) -> Tensor:
        return torch.full_like(x, math.nan)

    with made_up("broken", lambda images, reference: broken):
        asked = plan(nets[0], "broken", "nearest", features="pixels")
        with pytest.raises(NonFinite, match=r"broken gave NaN or infinity at sigma=.* Leave it out.* kept\.$"):
            run(asked, store)
        left = found_bench(digits, asked, store=store)
    assert {cell["model"] for cell in left.missing} == {"broken"}
    assert {row["model"] for row in left.distances} == {nets[0], "wiener", "mean", "nearest", "held-out images"}


def test_every_model_that_breaks_is_named_whatever_broke_it(store: Store, nets: tuple[str, str]) -> None:
    def broken(x: Tensor, sigma: float) -> Tensor:
        return torch.full_like(x, math.nan)

    def greedy(x: Tensor, sigma: float) -> Tensor:
        raise TooLarge("greedy", 2 * 10**9, 10**9, "Leave it out.")

    said = r"^greedy needs 2.* Leave it out\. broken gave NaN .* finished and kept\.$"
    with (
        made_up("greedy", lambda images, reference: greedy),
        made_up("broken", lambda images, reference: broken),
        pytest.raises(TooLarge, match=said),
    ):
        run(plan(nets[0], "greedy", "broken"), store)


def test_a_reference_that_breaks_ends_it_all(
    store: Store, nets: tuple[str, str], two: tuple[Calls, Calls], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NetworkDenoiser, "__call__", lambda self, x, sigma: torch.full_like(x, math.nan))
    with pytest.raises(NonFinite, match=r"gave NaN or infinity"):
        run(plan(nets[0], "weak"), store)
    assert two[0].images == 0, "the others are measured by it"


def test_a_preset_leaves_out_what_cannot_be(shared: Store, nets: tuple[str, str]) -> None:
    made = run(plan(nets[0], presets=("windows",), count=1), shared, first=600)
    assert "ls:window=3" in made.names
    assert "ls:window=published" not in made.names
    said = " ".join(made.notes)
    assert "Preset windows without ls:window=published: ls: no window list is published for digits" in said
    assert "Preset windows without ls:window=calibrated" in said  # no unet is trained on digits


def test_unknown_questions_to_a_result_are_refused(shared: Store, nets: tuple[str, str]) -> None:
    made = run(plan(nets[0], count=1), shared)
    with pytest.raises(UnknownName, match="Unknown model of this benchmark 'x'"):
        made.values("x", "r2_final")
    with pytest.raises(UnknownName, match="Unknown metric of images 'kid'"):
        made.values("wiener", "kid")
    with pytest.raises(BadInput, match=r"denoise_ratio of wiener has no noise level 3\. It has: 0\.5, 2\."):
        made.values("wiener", "denoise_ratio", 3.0)
    with pytest.raises(LocalityError, match="r2_own is reported by noise level"):
        made.values("wiener", "r2_own")
