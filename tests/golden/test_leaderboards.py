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
from benchmarks import shipped
from locality.datasets import Source
from locality.device import Compute
from locality.store import Store
from locality.studies import Bench, bench, finish, shipped_benches
from locality.studies.benchmark import PRESETS
from locality.studies.benchmark.plan import AUTO, NONE
from locality.studies.benchmark.sampling import held_out_noise
from locality.studies.benchmark.setup import enter
from locality.studies.trained import networks_for

ROOT = Path(locality.__file__).parents[1]
pytestmark = pytest.mark.timeout(600)
SETS = ("cifar10", "fashion_mnist", "mnist", "afhq_cats")
SLOW = bool(os.environ.get("LOCALITY_SLOW"))
slow = pytest.mark.skipif(not SLOW, reason="takes minutes: LOCALITY_SLOW=1 runs it")
AGAIN = ("wiener", "unet")  # quick ones; cells of 16 images are the same whatever else takes part


def leaderboard(name: str) -> Bench:
    return next(one for one in shipped_benches() if one.dataset == name and not one.plan.presets)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "store", ROOT / "cache" / "shipped")
    yield made
    made.close()


@pytest.mark.parametrize("name", SETS)
def test_a_leaderboard_is_whole(name: str) -> None:
    """Of at least 128 images, nothing missing, a second network and an error on every model's number."""
    made = leaderboard(name)
    assert made.complete
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


def test_results_say_what_is_shipped(capsys: pytest.CaptureFixture[str]) -> None:
    shipped.run()
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert len(rows) > 100
    written = (ROOT / "benchmarks/RESULTS.md").read_text(encoding="utf-8").splitlines()
    assert set(rows) <= set(written)


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
