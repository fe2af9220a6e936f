"""Studies as tasks of workers, and commands with --cluster: the numbers of one process, errors that name the worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from locality.cluster.compute import ClusterCompute, leave
from locality.cluster.here import VARIABLE, join, usual
from locality.cluster.spread import SpreadDenoiser
from locality.cluster.tasks import Errand
from locality.datasets import DATASETS, Source
from locality.device import Compute
from locality.edits import parse_edit
from locality.errors import CheckpointMismatch, DataUnavailable, DigestMismatch, TooLarge
from locality.places import home
from locality.store import Store
from locality.studies import (
    AgreementPlan,
    Bench,
    CellFinished,
    CostPlan,
    Sampling,
    SweepPlan,
    bench,
    finish,
    measure_agreement,
    measure_costs,
    open_denoiser,
    run_sweep,
    sample,
)
from locality.work import Progress
from tests.benches import network, plan
from tests.clusters import Cluster
from tests.shell import Shell, refused

WORKERS = 2


@pytest.fixture
def stores(tmp_path: Path) -> tuple[Store, Store]:
    """One for the study in one process, and one for that on workers, who see it too."""
    (tmp_path / "there").mkdir()
    return Store(tmp_path / "here"), Store(tmp_path / "there")


def both(work: Callable[[Store, Compute], object], stores: tuple[Store, Store], team: ClusterCompute) -> list[object]:
    return [work(store, compute) for store, compute in zip(stores, (Compute(), team), strict=True)]


def same_scores(one: Bench, other: Bench) -> None:
    for ours, theirs in zip(one.results, other.results, strict=True):
        assert ours.name == theirs.name
        for name, scores in ours.scores.items():
            torch.testing.assert_close(theirs.scores[name], scores, rtol=1e-4, atol=1e-5, equal_nan=True)
        assert torch.equal(ours.images, theirs.images)


def test_a_benchmark(team: ClusterCompute, stores: tuple[Store, Store], tmp_path: Path) -> None:
    question = plan(network(tmp_path / "net"), "optimal", count=20)
    told: list[Progress] = []
    ours = finish(bench(Source.parse("digits"), question, store=stores[0]))
    theirs = finish(bench(Source.parse("digits"), question, store=stores[1], compute=team), told.append)
    same_scores(ours, theirs)
    cells = [event for event in told if isinstance(event, CellFinished)]
    assert len({cell.address for cell in cells}) == len(cells) > 20
    again: list[Progress] = []
    finish(bench(Source.parse("digits"), question, store=stores[1], compute=team), again.append)
    assert not [event for event in again if isinstance(event, CellFinished)]


def test_a_benchmark_whose_worker_is_killed(dask: Cluster, stores: tuple[Store, Store], tmp_path: Path) -> None:
    question = plan(network(tmp_path / "net"), "optimal", count=40)
    ours = finish(bench(Source.parse("digits"), question, store=stores[0]))
    team = ClusterCompute(cluster=dask.address)
    victim = next(iter(team.team.members.values()))
    killed: list[int] = []

    def kill(event: Progress) -> None:
        if isinstance(event, CellFinished) and not killed:
            os.kill(victim.pid, signal.SIGKILL)
            killed.append(victim.pid)

    try:
        same_scores(ours, finish(bench(Source.parse("digits"), question, store=stores[1], compute=team), kill))
        team.team.look()
        assert [one.pid for one in team.team.lost] == killed == [victim.pid]
    finally:
        leave(dask.address)
        dask.workers(1)


def test_a_model_that_fails_leaves_the_others(
    team: ClusterCompute, stores: tuple[Store, Store], tmp_path: Path
) -> None:
    large, source = "pca_locality:softmax=batch,batch_size=100", Source.parse("digits")
    question = plan(network(tmp_path / "net"), "optimal", large)
    with pytest.raises(TooLarge, match=r"On the worker tcp://.* needs .*Everything else is finished and kept"):
        finish(bench(source, question, store=stores[1], compute=replace(team, memory=10**5)))
    assert not finish(bench(source, replace(question, models=("optimal",)), store=stores[1])).missing


def test_agreement(team: ClusterCompute, stores: tuple[Store, Store], tmp_path: Path) -> None:
    question = AgreementPlan(step=3, draws=4, seeds=2, outputs=0, samples=0, sigmas=(0.5, 2.0))
    names = ["wiener", "optimal", network(tmp_path / "net"), "untrained:resnet:channels=8"]

    def work(store: Store, compute: Compute) -> object:
        made = finish(measure_agreement(Source.parse("digits"), names, plan=question, store=store, compute=compute))
        return made.arrays()

    ours, theirs = both(work, stores, team)
    torch.testing.assert_close(theirs, ours, rtol=1e-5, atol=1e-6, equal_nan=True)


def test_a_sweep(team: ClusterCompute, stores: tuple[Store, Store]) -> None:
    question = SweepPlan(sigma=1.5, strengths=(0.0, 0.5, 1.0), pixels=3, draws=3)
    for edit in ("pattern:X,strength=0.5", "tie:X,strength=0.5"):

        def work(store: Store, compute: Compute, edit: str = edit) -> object:
            source = Source.parse("digits")
            return finish(run_sweep(source, parse_edit(edit), plan=question, store=store, compute=compute)).rows

        ours, theirs = both(work, stores, team)
        for one, other in zip(ours, theirs, strict=True):  # type: ignore[call-overload]
            assert one["strength"] == other["strength"]
            assert other["non_locality"] == pytest.approx(one["non_locality"], rel=1e-5)


def test_costs_are_those_of_the_workers(team: ClusterCompute, stores: tuple[Store, Store]) -> None:
    question = CostPlan(
        images=(20, 40), pools=(1, 2), batches=(1, 3), base_images=30, base_batch=2, sigmas=(0.5,), repeats=1
    )
    work = measure_costs(Source.parse("digits"), ["optimal", "pspc_square:window=7"], question, compute=team)
    made = finish(work)
    places = [(point["model"], point["axis"], point["N"], point["d"], point["batch"]) for point in made.points]
    alone = finish(measure_costs(Source.parse("digits"), ["optimal", "pspc_square:window=7"], question))
    assert places == [tuple(point[name] for name in ("model", "axis", "N", "d", "batch")) for point in alone.points]
    assert made.notes == alone.notes
    assert all(point["seconds"] > 0 for point in made.points)


def test_samples(team: ClusterCompute, stores: tuple[Store, Store]) -> None:
    def work(store: Store, compute: Compute) -> object:
        drawn = sample(Source.parse("digits"), "pca_locality", Sampling(3, 4), store=store, compute=compute)
        return finish(drawn).x0_hat

    ours, theirs = both(work, stores, team)
    torch.testing.assert_close(theirs, ours, rtol=0, atol=1e-5)


def test_a_file_that_a_worker_does_not_see(
    team: ClusterCompute, stores: tuple[Store, Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCALITY_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    DATASETS.parse("afhqv2").stand_in(tmp_path / "data")
    question = CostPlan(images=(20,), pools=(8,), batches=(1,), base_images=20, sigmas=(0.5,), repeats=1)
    with pytest.raises(DataUnavailable, match=r"On the worker tcp://.* \(process .*\): afhqv2 cannot be read there"):
        finish(measure_costs(Source.parse("afhqv2"), ["optimal"], question, store=stores[1], compute=team))


def test_other_images_or_weights_on_a_worker(
    team: ClusterCompute, stores: tuple[Store, Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, question = Source.parse("digits", 60), AgreementPlan(step=4, draws=4, outputs=0, samples=0, sigmas=(0.5,))
    other = replace(Errand.of(source, stores[1], team), fingerprint="0" * 64)
    with pytest.raises(DigestMismatch, match="The images of digits are others there"):
        _ = other.source
    from locality.studies.agreement import asked

    net = network(tmp_path / "net")
    monkeypatch.setattr(asked, "canonical", lambda key: "another")
    with pytest.raises(CheckpointMismatch, match=r"On the worker tcp://.*wiener is another model there"):
        finish(measure_agreement(source, ["wiener", net], plan=question, store=stores[1], compute=team))


def test_commands(dask: Cluster, shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALITY_CACHE", str(tmp_path / "cache"))
    where = ("--cluster", dask.address)
    try:
        there, here = shell("stats", "digits", *where, "--json").json, shell("stats", "digits", "--json").json
        assert there["largest_eigenvalues"] == here["largest_eigenvalues"]
        assert there["cluster"]["workers"] == 2
        assert there["cluster"]["lost"] == []
        assert "cluster" not in here
        for name, options in {"one": (), "many": where}.items():
            monkeypatch.setenv("LOCALITY_CACHE", str(tmp_path / name))
            asked = ("--model", "optimal", "-n", 2, "--steps", 3, "--out", tmp_path / f"{name}.npz")
            assert shell("sample", "digits", *asked, *options).code == 0
        one, many = (np.load(tmp_path / f"{name}.npz")["x0_hat"] for name in ("one", "many"))
        np.testing.assert_allclose(many, one, atol=1e-5)
        taken = shell("sample", "digits", *asked, "--device", "cuda", *where)
        assert "workers compute on their processors" in refused(taken)
    finally:
        leave(dask.address)


def test_studies_of_a_server_use_its_cluster(dask: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    assert usual() == Compute()
    monkeypatch.setenv(VARIABLE, dask.address)
    assert usual() == ClusterCompute(cluster=dask.address)
    try:
        join()
        assert isinstance(finish(open_denoiser(Source.parse("digits"), "optimal")), SpreadDenoiser)
    finally:
        leave(dask.address)


def test_a_server_says_what_is_wrong_with_its_cluster(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "locality", "app", "--headless", "--port", "8999", "--cluster", "local:0"]
    where = {**os.environ, "PYTHONPATH": str(home()), "LOCALITY_CACHE": str(tmp_path)}
    ended = subprocess.run(command, env=where, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith("Error: --cluster 'local:0': 0 is no number of workers.")
