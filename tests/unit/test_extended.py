"""A shipped leaderboard with another second network or other models: the table is the one that a whole run makes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.extended import Changed, extended, main, merged
from locality.store import Store
from locality.studies import Bench, finish
from locality.studies.benchmark import markdown
from locality.studies.benchmark.cells import BESIDE
from tests.benches import Calls, network, plan, run, shrinking

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def weak() -> Iterator[Calls]:
    with shrinking("weak", 0.4) as calls, shrinking("strong", 0.9):
        yield calls


@pytest.fixture
def nets(tmp_path: Path) -> list[str]:
    return [network(tmp_path / name, seed) for seed, name in enumerate("abc")]


def whole(store: Path, reference: str, *models: str, ceiling: str) -> Bench:
    with closing(Store(store)) as made:
        return run(plan(reference, *models, ceiling=ceiling, features="pixels"), made)


@pytest.mark.parametrize(("models", "second"), [(("weak",), 2), (("weak", "strong"), 1), (("strong",), 2)])
def test_it_is_the_table_of_a_whole_run(
    tmp_path: Path, weak: Calls, nets: list[str], models: tuple[str, ...], second: int
) -> None:
    """Another second network, another model, and both with one model less."""
    shipped = whole(tmp_path / "first", nets[0], "weak", ceiling=nets[1])
    wanted = whole(tmp_path / "whole", nets[0], *models, ceiling=nets[second])
    slow = [replace(one, facts={**one.facts, "seconds_per_step": 99.0}) for one in shipped.results]
    shipped, asked = replace(shipped, results=tuple(slow)), weak.images
    with closing(Store(tmp_path / "again")) as store:
        made = finish(extended(shipped, wanted.plan, store))
    assert weak.images - asked == (
        15 if models == ("weak",) else 0
    )  # 5 images in 3 steps, where the network is another
    assert not made.missing
    assert (made.names, made.second, made.plan, made.notes) == (wanted.names, wanted.second, wanted.plan, wanted.notes)
    assert made.facts["command"] == wanted.facts["command"]
    assert sorted(made.distances, key=str) == sorted(wanted.distances, key=str)
    for name in made.names:
        ours, theirs = made.result(name), wanted.result(name)
        assert ours.notes == theirs.notes
        assert ours.scores.keys() == theirs.scores.keys()
        for score, values in ours.scores.items():
            torch.testing.assert_close(values, theirs.scores[score], rtol=0, atol=0, equal_nan=True)
        assert all(torch.equal(mask, theirs.have[kind]) for kind, mask in ours.have.items())
    assert made.result("wiener").have[BESIDE].all()
    drawn = second != 1  # again, so timed again
    assert (made.result("wiener").facts["seconds_per_step"] == 99.0) is not drawn


@pytest.mark.usefixtures("weak")
def test_a_second_network_that_is_lost_keeps_its_row(tmp_path: Path, nets: list[str]) -> None:
    """A new model is measured beside the reference alone, which is said; nothing else changes."""
    shipped = whole(tmp_path / "first", nets[0], "weak", ceiling=nets[1])
    wanted = whole(tmp_path / "whole", nets[0], "weak", "strong", ceiling=nets[1])
    shutil.rmtree(nets[1])
    with closing(Store(tmp_path / "again")) as store:
        made = finish(extended(shipped, wanted.plan, store))
    assert (made.names, made.second, made.plan) == (wanted.names, wanted.second, wanted.plan)
    assert made.facts["command"] == wanted.facts["command"]
    assert set(made.notes) - set(wanted.notes) == {
        f"strong: measured when {nets[1]} was no longer there, so not beside it."
    }
    assert sorted(made.distances, key=str) == sorted(wanted.distances, key=str)
    for name in made.names:
        lacking = {"r2_second"} if name == "strong" else set()
        assert wanted.result(name).scores.keys() - made.result(name).scores.keys() == lacking
        for score, values in made.result(name).scores.items():
            torch.testing.assert_close(values, wanted.result(name).scores[score], rtol=0, atol=0, equal_nan=True)
    assert any(line.startswith("| strong |") for line in markdown(made).splitlines())


@pytest.mark.usefixtures("weak")
def test_other_images_than_the_shipped_ones_are_refused(tmp_path: Path, nets: list[str]) -> None:
    made = whole(tmp_path / "store", nets[0], "weak", ceiling=nets[1])
    one = made.result("weak")
    other = replace(one, scores={**one.scores, "r2_own": one.scores["r2_own"] + 0.01})
    shipped = replace(made, results=tuple(other if each.name == "weak" else each for each in made.results))
    with pytest.raises(Changed, match=r"weak: mean R2 is off"):
        merged(shipped, made, set())


def test_a_table_that_is_not_shipped_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"Unknown shipped leaderboard 'photos'.*Known: .*mnist"):
        main(["photos", "--out", str(tmp_path)])
    assert not list(tmp_path.iterdir())
