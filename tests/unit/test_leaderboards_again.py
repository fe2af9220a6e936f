"""`make leaderboards`: every table is planned on full training sets, timed first, made and written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import leaderboards
from locality.datasets import Source
from locality.errors import BadInput, UnknownName
from locality.store import default_store
from locality.studies import PRESETS, BenchPlan, bench, shipped_benches
from locality.studies.benchmark.presets import PAPER
from tests.benches import leaderboard


def test_no_model_sees_fewer_images_than_another() -> None:
    names = [name for name in ("faces", "fashion_mnist") if Source.parse(name).available]
    made = list(leaderboards.tables(names))
    boards = [(source, plan) for source, plan in made if not plan.presets]
    for source, plan in boards:
        assert source.first is None
        assert all(entry.first is None for entry in plan.entries())
        assert plan.count >= 128
        assert "gaussian_mixture:groups=clusters" in plan.models
    unlabelled = next(plan for source, plan in boards if source.spec.name == "faces")
    assert "gaussian_mixture" not in unlabelled.models
    if len(boards) > 1:
        assert {plan.presets[0] for _, plan in made if plan.presets} == set(PRESETS) - {PAPER}


def test_a_table_is_timed_made_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (("SETS", ("faces",)), ("MODELS", ("mean",)), ("COUNT", 2)):
        monkeypatch.setattr(leaderboards, name, value)
    leaderboards.main(["--hours", "--out", str(tmp_path)])
    told = capsys.readouterr().out
    assert "faces: about" in told
    assert "no unet-b is trained" in told
    assert "--out cache/shipped/networks/faces-unet-b" in told
    assert "--option seed=1" in told
    assert not list(tmp_path.iterdir())
    leaderboards.main(["faces", "--out", str(tmp_path)])
    told = capsys.readouterr().out
    assert "python -m locality bench faces --reference unet --model mean -n 2" in told
    assert "| mean |" in told
    assert (tmp_path / "bench" / "faces-unet.json").exists()


def test_an_unknown_table_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        leaderboards.main(["photos"])
    assert "There are: mnist" in capsys.readouterr().err


def test_without_a_second_unet_the_best_other_network_stands_in() -> None:
    (_, plan), *_ = leaderboards.tables(["faces"])
    assert plan.ceiling == BenchPlan().ceiling


def test_a_second_unet_that_is_not_here_is_named_with_its_training() -> None:
    source = Source.parse("faces")
    with pytest.raises(BadInput) as refusal:
        next(bench(source, BenchPlan(models=("mean",), count=1, ceiling=leaderboards.SECOND)))
    assert "train faces --network unet" in str(refusal.value)
    assert str(refusal.value).count("--option seed=1") == 1
    with pytest.raises(UnknownName):
        next(bench(source, BenchPlan(models=("mean",), count=1, ceiling="unet-c")))


def test_a_table_with_another_second_network_leaves_the_shipped_one_alone() -> None:
    made = leaderboard("mnist")
    source, store = Source.parse("mnist"), default_store()
    assert leaderboards.place_of(source, made) == store.shipped_root
    assert leaderboards.place_of(source, replace(made, second="dit")) == store.local / "leaderboards"
    ablation = next(one for one in shipped_benches() if one.plan.presets)
    small = Source.parse(ablation.dataset, leaderboards.FEW)
    assert leaderboards.place_of(small, replace(ablation, second="nobody")) == store.local / "leaderboards"
