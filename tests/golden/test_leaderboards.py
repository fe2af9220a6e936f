"""The shipped leaderboards: all four are there, whole, and their numbers are made again from the images."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import locality
from benchmarks import leaderboards, shipped
from locality.datasets import Source
from locality.device import Compute
from locality.store import Store
from locality.studies import bench, finish, shipped_benches
from locality.studies.benchmark import PRESETS
from locality.studies.benchmark.plan import AUTO, NONE
from locality.studies.benchmark.sampling import held_out_noise
from locality.studies.benchmark.setup import enter
from locality.studies.trained import networks_for
from tests.benches import leaderboard

ROOT = Path(locality.__file__).parents[1]
pytestmark = pytest.mark.timeout(600)
SETS = ("cifar10", "fashion_mnist", "mnist", "afhq_cats")
SLOW = bool(os.environ.get("LOCALITY_SLOW"))
slow = pytest.mark.skipif(not SLOW, reason="takes minutes: LOCALITY_SLOW=1 runs it")
FIRST = ("mean", "optimal", "gaussian_mixture", "patch_mixture")  # seconds each, their fits shipped or short
AGAIN = ("wiener", "unet")  # quick ones; cells of 16 images are the same whatever else takes part


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "store", ROOT / "cache" / "shipped")
    yield made
    made.close()


@pytest.mark.parametrize("name", SETS)
def test_a_leaderboard_is_whole(name: str) -> None:
    """Of at least 128 images, nothing missing, a second network and an error on every model's number."""
    made = leaderboard(name)
    assert not made.missing
    assert made.plan.count >= 128
    assert made.second in made.names
    mixture = "gaussian_mixture:groups=clusters" if name == "afhq_cats" else "gaussian_mixture"
    assert {"wiener", "optimal", mixture, "patch_mixture"} <= set(made.names)
    for result in made.results:
        if result.kind in ("analytic", "ceiling"):
            found = made.summary(result.name, "r2_final")
            assert found.n == made.plan.count
            assert math.isfinite(found.mean)
            assert 0.0 < found.stderr < (0.2 if result.name != "nearest" else 0.5)  # copies are far off, or not
    assert made.facts["command"].startswith(f"python -m locality bench {name} --reference unet ")


def test_every_ablation_is_shipped_for_one_dataset() -> None:
    found = {row["preset"] for made in shipped_benches() for row in made.ablations() if row["n"] > 1}
    assert found == set(PRESETS) - {"paper"}  # no ablation


@pytest.mark.parametrize("name", SETS)
def test_the_same_command_with_fewer_images_gives_the_same_numbers(name: str, store: Store) -> None:
    """Image for image, so within the stated errors: 16 of them, with the quick models."""
    source, made = Source.parse(name), leaderboard(name)
    if not source.available:
        pytest.skip(f"the {name} images are not under LOCALITY_DATA")
    again = finish(bench(source, replace(made.plan, models=(), count=16, ceiling="none", features="none"), store=store))
    for metric in ("r2_final", "r2_trajectory", "pearson", "mse"):
        torch.testing.assert_close(
            again.values("wiener", metric), made.values("wiener", metric)[:16], rtol=1e-2, atol=2e-3
        )
        here, there = again.summary("wiener", metric), made.summary("wiener", metric)
        assert abs(here.mean - there.mean) < 4 * math.hypot(here.stderr, there.stderr)
    for model in AGAIN:
        here, there = again.summary(model, "denoise_ratio"), made.summary(model, "denoise_ratio")
        assert abs(here.mean - there.mean) <= 4 * math.hypot(here.stderr, there.stderr)


def test_the_first_cell_of_four_models_is_made_again(store: Store) -> None:
    """Image for image: the 16 of the first cell, R2 final and on-trajectory, error, and the images themselves."""
    source, made = Source.parse("fashion_mnist"), leaderboard("fashion_mnist")
    if not source.available:
        pytest.skip("the fashion_mnist images are not under LOCALITY_DATA")
    plan = replace(made.plan, models=FIRST, count=16, ceiling=NONE, features="none")
    again = finish(bench(source, plan, store=store))
    assert {*FIRST} <= {*again.names}
    for model in FIRST:
        for metric in ("r2_final", "r2_trajectory", "mse"):
            torch.testing.assert_close(
                again.values(model, metric), made.values(model, metric)[:16], rtol=1e-2, atol=5e-3, msg=model
            )
        errors = made.result(model).of("errors")[:, :16]
        torch.testing.assert_close(again.result(model).of("errors"), errors, rtol=1e-2, atol=1e-3, msg=model)
        apart = again.result(model).images[:8].int() - made.result(model).images.int()
        assert apart.abs().float().mean() < 1.0, model  # grey levels of 255


@pytest.mark.parametrize("name", ["mnist", *(pytest.param(name, marks=slow) for name in SETS if name != "mnist")])
def test_every_model_of_a_leaderboard_denoises_as_it_says(name: str, store: Store) -> None:
    """The squared errors of two held-out images at two noise levels: all models, from all their images."""
    source, made = Source.parse(name), leaderboard(name)
    if not source.available:
        pytest.skip(f"the {name} images are not under LOCALITY_DATA")
    there = {network.name for network in networks_for(source, store=store)} | {AUTO}
    second = made.plan.ceiling if made.plan.ceiling in there else NONE  # a second UNet is not shipped, its command is
    setup = enter(source, replace(made.plan, ceiling=second), store)
    x0, eps = source.held_out.x0(slice(0, 2)), held_out_noise(range(2), source.shape, made.plan.seed)
    tried = []
    for competitor in setup.everyone:
        if competitor.model is None or (competitor.name == "prism" and not SLOW):
            continue  # which takes a minute to fit
        denoiser = finish(competitor.model.open(store=store, compute=Compute()))
        for level in (1, 3):
            sigma = made.plan.sigmas[level]
            with torch.no_grad():
                errors = (denoiser(x0 + sigma * eps, sigma).double() - x0).square().sum(dim=1)
            kept = made.result(competitor.name).of("errors")[level, :2]
            torch.testing.assert_close(errors, kept, rtol=1e-2, atol=1e-3, msg=f"{competitor.name} at sigma {sigma}")
        tried.append(competitor.name)
    left_out = ("control",) if second != NONE else ("control", "ceiling")
    assert {*tried, "prism"} >= {result.name for result in made.results if result.kind not in left_out}


@pytest.fixture(scope="module")
def results() -> str:
    return (ROOT / "benchmarks/RESULTS.md").read_text(encoding="utf-8")


def test_results_say_what_is_shipped(results: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every row, list and difference that the command prints."""
    shipped.run()
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("|", "- ", "R2 "))]
    assert len(said) > 100
    missing = [line for line in said if line not in set(results.splitlines())]
    assert not missing


@pytest.mark.parametrize("name", SETS)
def test_results_have_the_note_of_every_row(name: str, results: str) -> None:
    made = leaderboard(name)
    section = results.partition(f"### Leaderboard, {name} against")[2].partition("\n### ")[0]
    for result in made.results:
        for note in result.notes:
            assert any(f"`{result.name}`" in line and note in line for line in section.splitlines()), (name, note)


@pytest.mark.parametrize("name", SETS)
def test_the_command_makes_the_shipped_models(name: str) -> None:
    """`make leaderboards` and the shipped table name the same models, but for those that APART names."""
    if not Source.parse(name).available:
        pytest.skip(f"the {name} images are not under LOCALITY_DATA")
    (_, plan), *_ = leaderboards.tables([name])
    apart, there = leaderboards.APART.get(name, {}), {*leaderboard(name).names}
    assert {*plan.models} - there == {*apart}
    stand_in = {row for row in apart.values() if row in there}
    assert {*leaderboard(name).plan.models} - {*plan.models} == stand_in


def test_the_readme_says_what_is_shipped() -> None:
    """Every number of its table, and which one is bold."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    made = [leaderboard(name) for name in ("mnist", "fashion_mnist", "cifar10", "afhq_cats")]
    rows = re.findall(r"^\| `([\w:=]+)` \|([^|]*)\|([^|]*)\|([^|]*)\|([^|]*)\|$", text, re.MULTILINE)
    reported = []
    for name, *cells in rows:
        for one, cell in zip(made, cells, strict=True):
            if found := re.fullmatch(r" (\*\*)?(\S+ ± [\d.]+)(?:\*\*)?(?: \(([\d,]+) images\))? ", cell):
                bold, number, first = found.groups()
                model = name if first is None else f"{name}@first={first.replace(',', '')}"
                summary = one.summary(model, "r2_final")
                assert number == f"{summary.mean:.3f} ± {summary.stderr:.3f}", (one.dataset, model)
                assert bool(bold) is (one.best("r2_final") == model), (one.dataset, model)
                reported.append((one.dataset, model))
    analytic = {(one.dataset, result.name) for one in made for result in one.results if result.kind == "analytic"}
    assert set(reported) == analytic
