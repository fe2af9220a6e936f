"""Another second network beside a shipped leaderboard: the table is the one that a whole run makes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.second import Changed, beside, merged
from locality.store import Store
from locality.studies import finish
from locality.studies.benchmark.cells import BESIDE
from tests.benches import network, plan, run, shrinking

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def models() -> Iterator[None]:
    with shrinking("weak", 0.4), shrinking("strong", 0.9):
        yield


@pytest.mark.usefixtures("models")
def test_it_is_the_table_of_a_whole_run(tmp_path: Path) -> None:
    nets = [network(tmp_path / name, seed) for seed, name in enumerate("abc")]
    with closing(Store(tmp_path / "first")) as store:
        shipped = run(plan(nets[0], "weak", "strong", ceiling=nets[1], features="pixels"), store)
    with closing(Store(tmp_path / "whole")) as store:
        whole = run(plan(nets[0], "weak", "strong", ceiling=nets[2], features="pixels"), store)
    with closing(Store(tmp_path / "again")) as store:
        made = finish(beside(shipped, nets[2], store))
    assert made.complete
    assert (made.names, made.second, made.plan, made.notes) == (whole.names, whole.second, whole.plan, whole.notes)
    assert made.facts["command"] == whole.facts["command"]
    assert sorted(made.distances, key=str) == sorted(whole.distances, key=str)
    for name in made.names:
        ours, theirs = made.result(name), whole.result(name)
        assert ours.notes == theirs.notes
        assert ours.scores.keys() == theirs.scores.keys()
        for score, values in ours.scores.items():
            torch.testing.assert_close(values, theirs.scores[score], rtol=0, atol=0, equal_nan=True)
        assert all(torch.equal(mask, theirs.have[kind]) for kind, mask in ours.have.items())
    assert made.result("weak").have[BESIDE].all()


@pytest.mark.usefixtures("models")
def test_other_images_than_the_shipped_ones_are_refused(tmp_path: Path) -> None:
    nets = [network(tmp_path / name, seed) for seed, name in enumerate("ab")]
    with closing(Store(tmp_path / "store")) as store:
        made = run(plan(nets[0], "weak", ceiling=nets[1]), store)
    weak = made.result("weak")
    other = replace(weak, scores={**weak.scores, "r2_own": weak.scores["r2_own"] + 0.01})
    shipped = replace(made, results=tuple(other if one.name == "weak" else one for one in made.results))
    with pytest.raises(Changed, match=r"weak: R2 differs by 0\.01"):
        merged(shipped, made)
