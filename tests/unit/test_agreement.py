"""Agreement of models: against plain loops and closed forms; kept, found, cut down and shipped; refusals."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from locality.datasets import DATASETS, Source
from locality.device import Compute
from locality.errors import BadInput, LocalityError, NonFinite, TooLarge, UnknownName
from locality.fields.corrected import variance_weights
from locality.fields.jacobian import draw_inputs
from locality.fields.rows import rows
from locality.fields.similarity import MEASURES, Similarity, Tally
from locality.linear.correlation import pixel_variance
from locality.metrics import explained
from locality.networks import NETWORKS, NetworkDenoiser, save_network
from locality.store import Store
from locality.studies import (
    Agreement,
    AgreementPlan,
    Draws,
    Sampling,
    Untrained,
    find_members,
    finish,
    fit_wiener,
    found_agreement,
    measure_agreement,
    sample,
    ship_agreement,
)
from locality.studies.agreement.members import facts_of
from locality.types import ImageShape, Pixel
from tests.benches import network
from tests.made_up import Call, made_up

pytestmark = pytest.mark.usefixtures("one_thread")

SHAPE = ImageShape(1, 8, 8)
SMALL = AgreementPlan(step=3, draws=4, seeds=1, outputs=5, samples=4, steps=3, sigmas=(0.3, 2.0), seed=4)
FIELDS = AgreementPlan(step=3, draws=4, seeds=2, outputs=0, samples=0, sigmas=(0.5,))


@pytest.fixture
def linear() -> Iterator[dict[str, Tensor]]:
    """Two registered models x -> A x with A by name; nothing about them depends on x or sigma."""
    matrices = {name: torch.randn(64, 64, generator=torch.Generator().manual_seed(k)) for k, name in enumerate("ab")}
    with ExitStack() as stack:
        for name, matrix in matrices.items():
            stack.enter_context(made_up(name, lambda images, reference, matrix=matrix: times(matrix)))  # type: ignore[misc]
        yield matrices


def times(matrix: Tensor) -> Call:
    return lambda x, sigma: x @ matrix.T.to(x)


# --- the measures against plain loops


def plain(fields: np.ndarray, centre: int, measure: str) -> np.ndarray:
    """Matrix of one pixel's fields [n, q], by numpy."""
    if measure == "cosine":
        size = np.linalg.norm(fields, axis=1)
        return np.asarray(fields @ fields.T / np.outer(size, size))
    return np.corrcoef(fields if measure == "pearson" else np.delete(fields, centre, axis=1))


def fields_of(pixels: int = 5, draws: int = 4, models: int = 3, size: int = 12) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    common = torch.randn(pixels, 1, 1, size, generator=generator)
    fields = common + torch.randn(pixels, draws, models, size, generator=generator) + 0.5
    return fields, torch.arange(pixels) * 2 + 1


def tally(fields: Tensor, centres: Tensor, chunk: int = 100) -> dict[str, Similarity]:
    made = Tally()
    for part, places in zip(fields.split(chunk), centres.split(chunk), strict=True):
        made.add(part, places)
    return made.similarities()


@pytest.mark.parametrize("measure", MEASURES)
def test_plain_similarity_equals_plain_loops(measure: str) -> None:
    """Mean over pixels by weight, of fields averaged over all draws. float64 on both sides."""
    fields, centres = fields_of()
    share = torch.tensor([0.1, 0.3, 0.0, 0.4, 0.2], dtype=torch.float64)
    made = Tally()
    made.add(fields, centres, share)
    found, each = made.similarities()[measure], fields.double().mean(dim=1).numpy()
    want = sum(w * plain(f, int(c), measure) for f, c, w in zip(each, centres, share.tolist(), strict=True))
    np.testing.assert_allclose(found.plain.numpy(), want, atol=1e-12)
    assert (found.pixels == 5).all()
    assert (found.value.diagonal() - 1).abs().max() < 1e-12


@pytest.mark.parametrize("measure", ["pearson", "cosine"])
def test_chance_is_the_mean_over_all_pairs_of_different_pixels(measure: str) -> None:
    fields, centres = fields_of()
    found, mean = tally(fields, centres)[measure].chance, fields.double().mean(dim=1).numpy()
    for a in range(3):
        for b in range(3):
            pairs = [
                plain(np.stack([mean[p, a], mean[r, b]]), 0, measure)[0, 1]
                for p in range(5)
                for r in range(5)
                if p != r
            ]
            assert float(found[a, b]) == pytest.approx(np.mean(pairs), abs=1e-12)


def test_a_field_without_its_own_pixel_has_no_peak_to_agree_on() -> None:
    """Fields that share nothing but a peak at their pixel: r near 1, without the pixel near 0."""
    fields, centres = fields_of(pixels=200, draws=4, models=2, size=400)
    fields = fields - fields.mean(dim=2, keepdim=True)
    fields = torch.randn(fields.shape, generator=torch.Generator().manual_seed(3))
    fields[torch.arange(200), :, :, centres] += 300.0
    found = tally(fields, centres)
    assert float(found["pearson"].value[0, 1]) > 0.99
    assert abs(float(found["off_centre"].plain[0, 1])) < 0.02  # 200 pixels of 400 values: 0.0035 expected
    assert abs(float(found["off_centre"].chance[0, 1])) < 0.02


def test_pixels_with_a_constant_field_are_left_out_and_counted() -> None:
    fields, centres = fields_of()
    fields[2, :, 1] = 0.25
    fields[3, :, 1] = 0.0
    found, without = tally(fields, centres), tally(fields[[0, 1, 4]], centres[[0, 1, 4]])
    assert found["pearson"].pixels.tolist() == [[5, 3, 5], [3, 3, 3], [5, 3, 5]]
    assert found["cosine"].pixels.tolist() == [[5, 4, 5], [4, 4, 4], [5, 4, 5]]  # a constant has a direction
    assert torch.allclose(found["pearson"].value[1], without["pearson"].value[1])
    assert torch.allclose(found["pearson"].plain[1], without["pearson"].plain[1])
    assert float(found["pearson"].chance[1, 1]) == pytest.approx(float(without["pearson"].chance[1, 1]))
    nothing = tally(torch.zeros_like(fields), centres)["pearson"]
    assert nothing.value.isnan().all()
    assert nothing.chance.isnan().all()
    assert not nothing.pixels.any()


def test_chunks_of_pixels_change_nothing() -> None:
    fields, centres = fields_of()
    whole, parts = tally(fields, centres), tally(fields, centres, chunk=2)
    for measure in MEASURES:
        for item in ("value", "stderr", "low", "high", "plain", "chance", "reliability", "pixels"):
            torch.testing.assert_close(getattr(whole[measure], item), getattr(parts[measure], item), rtol=0, atol=1e-12)


def test_explained_share_by_hand() -> None:
    target = torch.tensor([[0.0, 2.0], [1.0, 1.0], [3.0, 5.0]])
    estimate = torch.tensor([[0.0, 1.0], [0.0, 0.0], [5.0, 3.0]])
    assert explained(estimate, target).tolist() == pytest.approx([0.5, float("nan"), -3.0], nan_ok=True)


# --- whole studies in closed form


def weights_of(source: Source, places: list[int]) -> np.ndarray:
    """Variance of the training images at some coordinates."""
    return np.asarray((source.train.data.numpy() / 127.5 - 1).var(axis=0)[places])


def test_linear_models_have_the_likeness_of_their_rows(digits: Source, store: Store, linear: dict[str, Tensor]) -> None:
    plan = AgreementPlan(step=3, draws=4, outputs=0, samples=0, sigmas=(0.3, 2.0))
    made = finish(measure_agreement(digits, ["a", "b"], plan=plan, store=store))
    assert made.pixels == [[r, c] for r in (1, 4, 7) for c in (1, 4, 7)]
    places = [8 * r + c for r, c in made.pixels]
    rows = torch.stack([linear["a"][places], linear["b"][places]], dim=1).double().numpy()
    for measure in MEASURES:
        each = [plain(f, place, measure) for f, place in zip(rows, places, strict=True)]
        want = np.average(each, axis=0, weights=weights_of(digits, places))
        found = getattr(made, measure)
        for s in range(2):
            np.testing.assert_allclose(found.value[s].numpy(), want, atol=1e-6)  # rows of float32
        assert found.stderr.abs().max() < 1e-6  # the same in every draw
        np.testing.assert_allclose(found.reliability.numpy(), 1.0, atol=1e-6)


def test_fields_of_colour_images_are_summed_over_channels(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Grey field = sum over the 3 x 3 blocks of A: by one sum over reshaped rows."""
    shape, source = ImageShape(4, 4, 4), Source.parse("digits")  # the same 64 values, said to be of four channels
    monkeypatch.setattr(type(source.spec), "shape", shape)
    matrices = [torch.randn(64, 64, generator=torch.Generator().manual_seed(k)) for k in (5, 6)]
    with made_up("c", lambda i, r: times(matrices[0])), made_up("d", lambda i, r: times(matrices[1])):
        plan = AgreementPlan(step=2, draws=4, outputs=0, samples=0, sigmas=(1.0,))
        made = finish(measure_agreement(source, ["c", "d"], plan=plan, store=store))
    grey = torch.stack([m.double().reshape(4, 16, 4, 16).sum(dim=(0, 2)) for m in matrices], dim=1)
    places = [4 * r + c for r, c in made.pixels]
    counts = weights_of(source, [place + 16 * c for place in places for c in range(4)]).reshape(-1, 4).sum(axis=1)
    want = np.average([np.corrcoef(grey[place].numpy()) for place in places], axis=0, weights=counts)
    np.testing.assert_allclose(made.pearson.value[0].numpy(), want, atol=1e-6)


@pytest.mark.parametrize("shape", [SHAPE, ImageShape(4, 4, 4)], ids=str)
def test_the_exact_wiener_filter_is_its_own_derivative(
    digits: Source, store: Store, monkeypatch: pytest.MonkeyPatch, shape: ImageShape
) -> None:
    """W in closed form against W by backward passes of a model that calls numpy's filter, grey and colour."""
    monkeypatch.setattr(type(digits.spec), "shape", shape)
    x0 = digits.train.data.numpy() / 127.5 - 1
    mean, cov = torch.from_numpy(x0.mean(axis=0)), torch.from_numpy(np.cov(x0.T))

    def call(x: Tensor, sigma: float) -> Tensor:
        filtered = torch.linalg.solve(cov + sigma**2 * torch.eye(64, dtype=cov.dtype), cov)
        return (mean + (x.double() - mean) @ filtered).to(x)

    with made_up("mine", lambda images, reference: call):
        plan = AgreementPlan(**{**as_options(SMALL), "step": 2})  # type: ignore[arg-type]
        made = finish(measure_agreement(digits, ["wiener", "mine"], plan=plan, store=store))
    for measure in MEASURES:
        assert (getattr(made, measure).pixels[:, 0, 1] > 0).all()
        np.testing.assert_allclose(getattr(made, measure).value[:, 0, 1].numpy(), 1.0, atol=1e-5)
    assert made.r2_outputs is not None
    assert made.r2_samples is not None
    np.testing.assert_allclose(made.r2_outputs.value.numpy(), 1.0, atol=1e-5)
    np.testing.assert_allclose(made.r2_samples.value.numpy(), 1.0, atol=1e-5)


def test_the_identity_has_the_chance_level_of_a_single_pixel(digits: Source, store: Store) -> None:
    """Two unit peaks at different pixels of 64: r = -1/63, cosine 0; without the peak nothing is left."""
    with made_up("one", lambda i, r: lambda x, s: x), made_up("two", lambda i, r: lambda x, s: 2 * x):
        made = finish(measure_agreement(digits, ["one", "two"], plan=FIELDS, store=store))
    np.testing.assert_allclose(made.pearson.chance.numpy(), -1 / 63, atol=1e-12)
    np.testing.assert_allclose(made.cosine.chance.numpy(), 0.0, atol=1e-12)
    np.testing.assert_allclose(made.pearson.value.numpy(), 1.0, atol=1e-12)
    assert made.off_centre.value.isnan().all()
    assert not made.off_centre.pixels.any()


def test_estimates_and_samples_against_plain_ones(digits: Source, store: Store, linear: dict[str, Tensor]) -> None:
    small = {name: matrix / 40 for name, matrix in linear.items()}
    with made_up("p", lambda i, r: times(small["a"])), made_up("q", lambda i, r: times(small["b"])):
        made = finish(measure_agreement(digits, ["p", "q"], plan=SMALL, store=store))
        drawn = {
            name: finish(sample(digits, name, Sampling(count=4, steps=3, seed=4), store=store)).image for name in "pq"
        }
    assert made.r2_outputs is not None
    assert made.r2_samples is not None
    x0 = Draws(5, 4).images(digits)
    for s, sigma in enumerate(SMALL.sigmas):
        x = draw_inputs(x0, sigma, 4)
        a, u = (x @ small[name].T for name in "ab")
        each = 1 - (a - u).square().sum(1) / (u - u.mean(1, keepdim=True)).square().sum(1)
        assert float(made.r2_outputs.value[s, 0, 1]) == pytest.approx(float(each.mean()), rel=1e-4)
        assert float(made.r2_outputs.stderr[s, 0, 1]) == pytest.approx(float(each.std() / 5**0.5), rel=1e-3)
        assert made.r2_outputs.images[s].tolist() == [[5, 5], [5, 5]]
    want = explained(drawn["q"], drawn["p"]).mean()
    assert float(made.r2_samples.value[1, 0]) == pytest.approx(float(want), rel=1e-5)


def test_a_constant_answer_is_left_out_and_counted(digits: Source, store: Store) -> None:
    with made_up("flat", lambda i, r: lambda x, s: torch.full_like(x, 0.3)):
        made = finish(measure_agreement(digits, ["wiener", "flat"], plan=SMALL, store=store))
    assert made.r2_outputs is not None
    assert made.r2_outputs.value[:, :, 1].isnan().all()
    assert not made.r2_outputs.images[:, :, 1].any()
    assert made.r2_outputs.value[:, :, 0].isfinite().all()
    assert made.pearson.value[:, 0, 1].isnan().all()


def test_memory_batches_and_order_of_names_change_nothing(digits: Source, tmp_path: Path) -> None:
    names = ["wiener", network(tmp_path / "n"), "untrained:dit:width=16,depth=1,heads=2"]
    made = [
        finish(measure_agreement(digits, order, plan=SMALL, store=Store(tmp_path / f"s{i}"), compute=compute))
        for i, (order, compute) in enumerate(
            [(names, Compute()), (names[::-1], Compute()), (names, Compute(draws=1, memory=400_000))]
        )
    ]
    for other in (made[1].pick(names), made[2]):
        assert other.names == names
        for name, array in made[0].arrays().items():
            torch.testing.assert_close(other.arrays()[name], array, rtol=1e-4, atol=1e-4, equal_nan=True)


# --- untrained networks


@pytest.mark.parametrize("text", ["resnet:channels=8", "dit:width=16,depth=1,heads=2", "mlp:width=16", "unet"])
def test_an_untrained_network_sees_more_than_its_own_pixel(text: str) -> None:
    """No layer is left at zero, the seed fixes the weights, and the caller's random numbers stay as they were."""
    spec = NETWORKS.parse(text)
    state = torch.get_rng_state()
    first, again, other = (Untrained(spec, SHAPE, seed).build() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    for module in first.net.modules():
        if isinstance(module, torch.nn.Linear | torch.nn.Conv2d):
            assert bool(module.weight.any())
    x = torch.randn(2, 64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(first(x, 1.0), again(x, 1.0))
    assert not torch.equal(first(x, 1.0), other(x, 1.0))
    changed = x.clone()
    changed[:, 9] += 1.0
    assert float((first(changed, 1.0) - first(x, 1.0))[:, 10].abs().max()) > 1e-6  # the neighbour answers


@pytest.mark.parametrize("seeds", [1, 3])
def test_an_untrained_network_is_the_mean_over_its_initialisations(digits: Source, store: Store, seeds: int) -> None:
    """Each seed as a study of its own gives the values whose mean, spread and Student's interval are reported."""
    names = ["wiener", "untrained:resnet:channels=8"]
    plan = AgreementPlan(step=3, draws=4, outputs=0, samples=0, sigmas=(1.0,), seeds=seeds)
    made = finish(measure_agreement(digits, names, plan=plan, store=store)).off_centre
    first = Draws(4, plan.seed).of(digits)
    _, twin = find_members(digits, names, 0, store=store)
    assert isinstance(twin.model, Untrained)
    wiener = finish(fit_wiener(digits, store=store))
    pixels, each = [Pixel(r, c) for r in (1, 4, 7) for c in (1, 4, 7)], []
    share = variance_weights(pixel_variance(wiener), pixels, SHAPE)
    for number in range(seeds):
        fields = [
            rows(one, pixels, 1.0, first).summed().expand(-1, 4, -1)
            for one in (wiener, twin.model.build(number=number))
        ]
        alone = Tally()
        alone.add(torch.stack(fields, dim=2), torch.tensor([8 * r + c for r, c in pixels]), share)
        each.append(float(alone.similarities()["off_centre"].value[0, 1]))
    assert float(made.value[0, 0, 1]) == pytest.approx(np.mean(each), abs=1e-6)
    assert made.value[0].diagonal().tolist() == pytest.approx([1.0, 1.0], abs=1e-12)
    if seeds == 1:
        assert made.spread.isnan().all()
        assert made.low[0, 0, 1] < made.value[0, 0, 1] < made.high[0, 0, 1]
    else:
        spread = float(np.std(each, ddof=1))
        assert float(made.spread[0, 1, 0]) == pytest.approx(spread, rel=1e-5)
        assert float(made.stderr[0, 1, 0]) == pytest.approx(spread / 3**0.5, rel=1e-5)
        assert float(made.high[0, 0, 1] - made.low[0, 0, 1]) == pytest.approx(2 * 4.303 * spread / 3**0.5, rel=1e-3)


def test_networks_that_were_not_trained_alike_say_so(digits: Source, store: Store, tmp_path: Path) -> None:
    spec, alike = NETWORKS.parse("resnet:channels=8"), {"train": {"flips": False}, "images_seen": 2000}
    for name, facts in (
        ("a", alike),
        ("b", {**alike, "note": "trained twice"}),
        ("c", {**alike, "train": {"flips": True}, "images_seen": 1000}),
    ):
        net = NetworkDenoiser(Untrained(spec, SHAPE, ord(name)).build().net, spec, SHAPE)
        save_network(tmp_path / name, net, {"dataset": "digits", **facts})
    names = ["wiener", *(str(tmp_path / name) for name in "abc")]
    said = [facts["note"] for facts in facts_of(find_members(digits, names, 0, store=store))]
    assert said[:2] == ["", ""]
    assert said[2].endswith("b: trained twice.")
    assert said[3].startswith("trained with flips on 1,000 images, ")
    assert said[3].endswith(" without flips on 2,000 images.")


def test_the_twin_of_a_trained_network_has_its_options(digits: Source, store: Store) -> None:
    network(store.local / "networks" / "digits-mine", text="resnet:channels=24,padding=circular")
    twin, plain = find_members(digits, ["untrained:mine", "untrained:resnet"], 7, store=store)
    assert twin.model == Untrained(NETWORKS.parse("resnet:channels=24,padding=circular"), SHAPE, 7)
    assert plain.model == Untrained(NETWORKS.parse("resnet"), SHAPE, 7)
    assert twin.facts() == {"name": "untrained:mine", "kind": "untrained", "error_ratio": None, "note": ""}


# --- kept, found, shipped


def count_fits(fits: list[str]) -> ExitStack:
    """Two models that note when they are fitted."""
    stack = ExitStack()
    for name in ("left", "right"):

        def fit(images: object, reference: object, name: str = name) -> Call:
            fits.append(name)
            return lambda x, s: x.roll(len(name), dims=1) + 0.1 * x.roll(1, dims=1)

        stack.enter_context(made_up(name, fit))
    return stack


def test_a_study_is_kept_whatever_the_order_of_names(digits: Source, store: Store) -> None:
    fits: list[str] = []
    with count_fits(fits):
        assert found_agreement(digits, ["left", "right"], plan=SMALL, store=store) is None
        made = finish(measure_agreement(digits, ["left", "right"], plan=SMALL, store=store))
        assert sorted(fits) == ["left", "right"]
        again = finish(measure_agreement(digits, ["right", "left"], plan=SMALL, store=store))
        found = found_agreement(digits, ["right", "left"], plan=SMALL, store=store)
        assert len(fits) == 2
        assert found is not None
        for other in (again, found):
            same(other.pick(["left", "right"]), made)
        assert made.r2_outputs is not None
        assert again.r2_outputs is not None
        assert float(again.r2_outputs.value[0, 0, 1]) == float(made.r2_outputs.value[0, 1, 0])
        for change in ({"step": 4}, {"draws": 5}, {"seed": 5}, {"outputs": 6}, {"samples": 5}, {"sigmas": (0.3,)}):
            other = AgreementPlan(**{**as_options(SMALL), **change})  # type: ignore[arg-type]
            assert found_agreement(digits, ["left", "right"], plan=other, store=store) is None


def as_options(plan: AgreementPlan) -> dict[str, object]:
    return {name: value for name, value in plan.key().items() if name != "name"}


def same(one: Agreement, other: Agreement) -> None:
    assert one.names == other.names
    assert one.pixels == other.pixels
    assert one.models == other.models
    for name, array in other.arrays().items():
        torch.testing.assert_close(one.arrays()[name], array, rtol=0, atol=0, equal_nan=True)


def test_a_shipped_study_answers_for_any_of_its_models_without_the_images(
    digits: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = tmp_path / "shipped"
    home = Store(tmp_path / "here", shipped)
    networks = [network(tmp_path / f"n{k}", seed=k) for k in range(2)]
    names = ["wiener", *networks, "untrained:resnet:channels=8"]
    made = finish(measure_agreement(digits, names, plan=FIELDS, store=home))
    path = ship_agreement(digits, made, shipped, store=home)
    assert path == shipped / "agreement" / "digits.safetensors"
    about = Store(tmp_path / "reader", shipped).shipped("agreement")[0]["about"]
    assert about["models"] == names
    assert (
        "--step 3 --draws 4 --seed 0 --seeds 2 --outputs 0 --samples 0 --steps 10 --sigmas 0.5 --ship"
        in about["command"]
    )

    fresh = Store(tmp_path / "there", shipped)
    monkeypatch.setattr(Source, "available", False)
    monkeypatch.setattr(DATASETS["digits"], "fingerprints", {"train": digits.spec.fingerprints["train"]})
    elsewhere = Source.parse("digits")
    for some in (names, names[::-1], ["wiener", networks[1]]):
        found = found_agreement(elsewhere, some, plan=FIELDS, store=fresh)
        assert found is not None
        same(found, made.pick(some))
    assert found_agreement(elsewhere, [names[0], "nearest"], plan=FIELDS, store=fresh) is None
    more = AgreementPlan(**{**as_options(FIELDS), "draws": 5})  # type: ignore[arg-type]
    assert found_agreement(elsewhere, ["wiener", networks[1]], plan=more, store=fresh) is None


def test_plain_values_say_what_they_are(digits: Source, store: Store, tmp_path: Path) -> None:
    folder = network(tmp_path / "n")
    made = finish(measure_agreement(digits, ["wiener", folder], plan=SMALL, store=store))
    reported = made.to_json()
    assert [model["kind"] for model in reported["models"]] == ["analytic", "trained"]
    assert reported["models"][1]["error_ratio"] == {"0.5": 0.75}
    assert np.array(reported["pearson"]).shape == (2, 2, 2)
    assert np.array(reported["pearson_reliability"]).shape == (2, 2)
    assert np.array(reported["r2_samples"]).shape == (2, 2)
    assert reported["sigmas"] == [0.3, 2.0]
    for name in (
        "pearson",
        "off_centre",
        "cosine",
        "stderr",
        "chance",
        "low",
        "plain",
        "reliability",
        "spread",
        "weights",
        "pixels",
        "r2_outputs",
        "r2_samples",
    ):
        assert reported["about"][name]
    with pytest.raises(UnknownName, match="model of this study 'unet'"):
        made.pick(["unet"])


def test_a_study_that_is_stopped_keeps_nothing(digits: Source, store: Store) -> None:
    with count_fits([]):
        work = measure_agreement(digits, ["left", "right"], plan=SMALL, store=store)
        seen = [next(work) for _ in range(4)]
        work.close()
        assert all(0.0 <= event.fraction <= 1.0 for event in seen)
        assert found_agreement(digits, ["left", "right"], plan=SMALL, store=store) is None


# --- refusals


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], "Agreement needs at least two models, got no model."),
        (["wiener"], "Agreement needs at least two models, got only 'wiener'."),
        (["wiener", "nearest", "wiener"], "'wiener' is given twice"),
        (["wiener", "winer"], "Unknown model for digits 'winer'. Did you mean 'wiener'?"),
        (["wiener", "untrained:resnett"], "Unknown network to leave untrained 'resnett'. Did you mean 'resnet'?"),
        (["wiener", "untrained:"], "Unknown network to leave untrained ''."),
        (["wiener", "untrained:resnet:channels=3"], "resnet:channels=3 is outside [8, 1024]."),
        (["wiener", "untrained:dit:patch=3"], "dit: patches of side 3 do not tile 8x8 images."),
    ],
)
def test_bad_names_are_refused(digits: Source, store: Store, names: list[str], text: str) -> None:
    with pytest.raises(LocalityError) as caught:
        finish(measure_agreement(digits, names, plan=FIELDS, store=store))
    assert text in str(caught.value)


def test_a_network_of_another_shape_is_refused(store: Store, tmp_path: Path) -> None:
    folder = network(tmp_path / "n")
    for name in (folder, f"untrained:{folder}"):
        with pytest.raises(BadInput, match="was trained on 1x8x8 images of digits; those of power_law are 1x32x32"):
            finish(measure_agreement(Source.parse("power_law"), ["wiener", name], plan=FIELDS, store=store))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"draws": 3}, "AgreementPlan:draws=3 is outside [4, 4096]."),
        ({"step": 0}, "AgreementPlan:step=0 is outside [1, 512]."),
        ({"sigmas": ()}, "AgreementPlan:sigmas=(): give at least one noise level, each once."),
        ({"sigmas": (1.0, 1.0)}, "each once"),
        ({"sigmas": (0.0,)}, "AgreementPlan:sigmas=(0.0,) is outside [1e-06, 1e+06]."),
        ({"steps": 1}, "AgreementPlan:steps=1 is outside [2, 1000]."),
    ],
)
def test_bad_plans_are_refused(options: dict[str, object], text: str) -> None:
    with pytest.raises(BadInput) as caught:
        AgreementPlan(**options)  # type: ignore[arg-type]
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"step": 9}, "step=9: give 1..8."),
        ({"step": 8}, "step=8 leaves one pixel of 1x8x8 images: the chance level needs two."),
        ({"outputs": 181}, "outputs=181: digits has 180 held-out images. Give 0..180."),
    ],
)
def test_plans_that_do_not_fit_the_images(digits: Source, store: Store, options: dict[str, int], text: str) -> None:
    with pytest.raises(BadInput) as caught:
        finish(measure_agreement(digits, ["wiener", "nearest"], plan=AgreementPlan(**options), store=store))
    assert text in str(caught.value)


def test_too_little_memory_and_numbers_that_are_not(digits: Source, store: Store) -> None:
    with pytest.raises(TooLarge, match=r"The fields of 2 models in 4 draws needs .* Take fewer draws"):
        finish(measure_agreement(digits, ["wiener", "nearest"], plan=FIELDS, store=store, compute=Compute(memory=1000)))
    plan = AgreementPlan(step=3, draws=4, outputs=3, samples=0, sigmas=(0.5,))
    with made_up("broken", lambda i, r: lambda x, s: x + torch.nan), pytest.raises(NonFinite, match=r"sigma=0\.5"):
        finish(measure_agreement(digits, ["wiener", "broken"], plan=plan, store=store))
