"""Tables beside the leaderboards, in worlds where the answer is known."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks import boards
from benchmarks.boards import seed_change, seed_sd, seeds
from locality.store import Store
from locality.studies import Bench
from tests.benches import network, plan, run, shrinking

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Two models beside a network and one that is called its twin."""
    monkeypatch.setattr(boards, "SHOWN", ("wiener", "weak", "strong"))
    nets = [network(tmp_path / name, seed) for seed, name in enumerate(("net", "net-b"))]
    with closing(Store(tmp_path / "store")) as store, shrinking("weak", 0.4), shrinking("strong", 0.9):
        return run(plan(nets[0], "weak", "strong", ceiling=nets[1], count=8), store)


def with_changes(made: Bench, **changes: torch.Tensor) -> Bench:
    """Against the second network every R2 is what it is against the first, plus the model's change."""
    results = []
    for one in made.results:
        if "r2_second" in one.scores:
            second = one.of("r2_own")[-1] + changes.get(one.name, torch.zeros(8))
            one = replace(one, scores={**one.scores, "r2_second": second})
        results.append(one)
    return replace(made, results=tuple(results))


def test_leads_that_change_by_the_same_for_every_image_are_the_seeds(made: Bench) -> None:
    """Changes of .1 and -.1 without an error: a standard deviation of .1 over the root of two."""
    there = with_changes(made, weak=torch.full((8,), 0.1), strong=torch.full((8,), -0.1))
    assert [round(seed_change(there, name).mean, 6) for name in ("wiener", "weak", "strong")] == [0.0, 0.1, -0.1]
    assert seed_sd(there) == pytest.approx(0.1 / 2**0.5)


def test_a_change_that_all_models_share_is_no_change_of_a_lead(made: Bench) -> None:
    there = with_changes(made, **dict.fromkeys(("wiener", "weak", "strong", "mean"), torch.full((8,), 0.3)))
    assert seed_change(there, "wiener").mean == pytest.approx(0.3)
    assert seed_sd(there) == pytest.approx(0.0, abs=1e-6)


def test_a_model_that_is_not_beside_the_second_network_has_an_empty_cell(made: Bench) -> None:
    results = []
    for one in made.results:
        lacks = one.name == "weak"
        scores = {key: value for key, value in one.scores.items() if not lacks or key != "r2_second"}
        results.append(replace(one, scores=scores))
    alone = replace(made, results=tuple(results), second=f"{made.reference}-b")
    cells = {row[0]: row[1] for row in seeds([alone])[1]}
    assert cells["`weak`"] == ""
    assert cells["`strong`"]


def test_changes_of_single_images_that_cancel_are_no_seeds(made: Bench) -> None:
    """Their error explains them."""
    apart = torch.tensor([0.5, -0.5] * 4)
    assert seed_sd(with_changes(made, weak=apart, strong=-apart)) == 0.0


def test_the_spread_of_many_seeds_is_found(made: Bench) -> None:
    """Seeds of standard deviation .05 in each network, and .2 of noise in every image: right on average."""
    generator = torch.Generator().manual_seed(0)
    squares = []
    for _ in range(300):
        seed = 0.05 * (torch.randn(2, 1, generator=generator) - torch.randn(2, 1, generator=generator))
        weak, strong = seed + 0.2 * torch.randn(2, 8, generator=generator)
        there = with_changes(made, weak=weak, strong=strong)
        changes = [seed_change(there, name) for name in ("weak", "strong")]
        squares += [(one.mean**2 - one.stderr**2) / 2.0 for one in changes]
    assert sum(squares) / len(squares) == pytest.approx(0.05**2, rel=0.25)


def test_the_table_has_the_sets_with_a_twin_alone(made: Bench) -> None:
    assert made.second == f"{made.reference}-b"
    heads, rows = seeds([made, replace(made, second="dit")])
    assert heads == ["R2 final, over `wiener`", "digits"]
    assert [row[0] for row in rows] == ["`wiener`", "`weak`", "`strong`", "`mean`", "sd of a lead over seeds"]
    assert {len(row) for row in rows} == {2}


@pytest.mark.parametrize("turned", [False, True])
def test_of_a_model_with_two_rows_the_order_shows_that_of_all_images(tmp_path: Path, turned: bool) -> None:
    """Whichever of the two explains the network better."""
    net = network(tmp_path / "net", 0)
    with closing(Store(tmp_path / "store")) as store, shrinking("steady", 0.9):
        made = run(plan(net, "steady", "steady@first=10", count=8), store)
    whole, some = made.result("steady"), made.result("steady@first=10")
    worse = replace(whole, scores={**whole.scores, "r2_own": whole.of("r2_own") - 1.0})
    both = {"steady": worse, "steady@first=10": some} if turned else {"steady": whole, "steady@first=10": some}
    made = replace(made, results=tuple(both.get(one.name, one) for one in made.results))
    _, rows = boards.order([made])
    (row,) = [row for row in rows if row[0] == "`steady`"]
    assert row[1].split(" / ")[0] == str(boards.ranks(made, "r2_final")["steady"])
