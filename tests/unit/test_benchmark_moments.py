"""Models against a network as it trains: every moment's column is the benchmark's own, and models are asked once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.moments import against_moments, lines, main, turned
from locality.datasets import Source
from locality.errors import BadInput
from locality.networks import NETWORKS, NetworkDenoiser
from locality.networks.training.moments import save_moment
from locality.store import Store
from locality.studies import Bench, Untrained, finish
from tests.benches import SHAPE, Calls, network, plan, run, shrinking

pytestmark = pytest.mark.usefixtures("one_thread")
SEEN = (8, 64)


@pytest.fixture
def weak() -> Iterator[Calls]:
    with shrinking("weak", 0.4) as calls, shrinking("strong", 0.9):
        yield calls


@pytest.fixture
def training(tmp_path: Path) -> Path:
    spec = NETWORKS.parse("resnet:channels=8")
    for seed, seen in enumerate(SEEN):
        net = Untrained(spec, SHAPE, seed).build().net
        save_moment(tmp_path / "training", NetworkDenoiser(net, spec, SHAPE), seen, 60.0)
    return Path(network(tmp_path / "training", len(SEEN) - 1))


def both(folder: Path, store: Path) -> dict[int, Bench]:
    with closing(Store(store)) as made:
        asked = plan("whatever", "weak", "strong", ceiling="auto", features="pixels")
        return finish(against_moments(Source.parse("digits"), asked, folder, made))


def test_each_moment_is_the_reference_of_a_benchmark(tmp_path: Path, weak: Calls, training: Path) -> None:
    made = both(training, tmp_path / "store")
    assert weak.images == 15  # 5 images in 3 steps, of both moments together
    assert [*made] == [*SEEN]
    for seen, bench in made.items():
        assert not bench.missing
        with closing(Store(tmp_path / f"alone-{seen}")) as store:
            wanted = run(plan(str(training / "moments" / str(seen)), "weak", "strong"), store)
        for name in ("weak", "strong", "wiener", "mean"):
            ours, theirs = (one.values(name, "r2_final") for one in (bench, wanted))
            torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
        name = wanted.reference
        assert bench.summary(name, "denoise_ratio") == wanted.summary(name, "denoise_ratio")
    first, last = (bench.values("weak", "r2_final") for bench in made.values())
    assert not torch.equal(first, last)


@pytest.mark.usefixtures("weak")
def test_the_table_has_a_column_a_moment(tmp_path: Path, training: Path) -> None:
    made = both(training, tmp_path / "store")
    told = [line.strip("| ").split(" | ") for line in lines(made)]
    assert told[0] == ["images seen", "8", "64"]
    assert {len(cells) for cells in told} == {3}
    means = {name: made[64].summary(name, "r2_final").mean for name in ("weak", "strong", "wiener", "mean")}
    rows = {cells[0]: cells[1:] for cells in told}
    for name, mean in means.items():
        assert rows[f"`{name}`"][1].startswith(f"{mean:.3f}")
    first, second = sorted(means, key=lambda name: -means[name])[:2]
    lead = made[64].difference(first, second, "r2_final")
    assert rows["the first over the next"][1].startswith(f"`{first}` over `{second}` {lead.mean:+.3f}")
    order = [cells[0].strip("`") for cells in told if cells[0].strip("`") in means]
    assert order == sorted(means, key=lambda name: -means[name])


@pytest.mark.usefixtures("weak")
def test_pairs_that_turn_are_counted(tmp_path: Path, training: Path) -> None:
    """Two models that are told apart, then with their scores exchanged."""
    last = both(training, tmp_path / "store")[64]
    worse = {name: last.result("weak").of(name) - 5.0 for name in ("r2_own",)}
    one = replace(last.result("weak"), scores={**last.result("weak").scores, **worse})
    apart = replace(last, results=tuple(one if each.name == "weak" else each for each in last.results))
    swapped = {"weak": apart.result("strong").scores, "strong": apart.result("weak").scores}
    other = replace(
        apart, results=tuple(replace(each, scores=swapped.get(each.name, each.scores)) for each in apart.results)
    )
    found, none_turned = turned(apart, apart)
    assert found >= 3  # weak is below all others
    assert none_turned == 0
    assert turned(other, apart)[1] >= 1


def test_a_training_without_moments_is_refused(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "store")) as store, pytest.raises(BadInput, match=r"keeps no moments.*--moments 12"):
        finish(against_moments(Source.parse("digits"), plan("whatever"), tmp_path, store))
    with pytest.raises(SystemExit, match=r"keeps no moments"):
        main(["digits", str(tmp_path)])
