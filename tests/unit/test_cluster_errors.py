"""Clusters that cannot be used: one clear message each, from real schedulers and workers."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from locality.checks.sets import eight_bit
from locality.cluster import team as teams
from locality.cluster.compute import ClusterCompute, leave
from locality.cluster.facts import check_same, facts
from locality.cluster.team import Team
from locality.errors import BadInput, TooLarge, Unreachable
from tests.clusters import Cluster, cluster
from tests.shell import Shell, refused

OLD_PACKAGE = "import locality\nlocality.__version__ = '0.0.1'\n"
NO_PACKAGE = "import sys\nsys.modules['locality'] = None\n"


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("dask")) as made:
        yield made


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("local:0", r"--cluster 'local:0': 0 is no number of workers. Give local:1 or more."),
        ("local:some", r"some is no number of workers"),
        ("somewhere:8786", r"--cluster 'somewhere:8786' is no cluster. Give tcp://HOST:PORT of a Dask scheduler, or"),
    ],
)
def test_texts_that_name_no_cluster(text: str, message: str, shell: Shell) -> None:
    assert message in refused(shell("stats", "digits", "--cluster", text))


def test_without_dask_the_command_that_installs_it(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    told = refused(shell("stats", "digits", "--cluster", "local:2"))
    assert told.endswith('--cluster needs Dask, which is not installed. Run: pip install ".[cluster]"')


def test_a_scheduler_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teams, "_PATIENCE", 0.5)
    with pytest.raises(Unreachable, match=r"The scheduler tcp://127.0.0.1:9 does not answer within 0 s"):
        Team.connect("tcp://127.0.0.1:9")


def test_a_scheduler_without_workers(empty: Cluster) -> None:
    with pytest.raises(BadInput, match=r"has no workers. Start some: dask worker tcp://127.0.0.1"):
        Team.connect(empty.address)


@pytest.mark.parametrize(
    ("preload", "message"),
    [
        (OLD_PACKAGE, r"The worker tcp://.*process \d+ on .* has Locality Lab 0\.0\.1, and here it is"),
        (NO_PACKAGE, r"The worker tcp://\S+ has no Locality Lab \S+ that it can import"),
    ],
    ids=["package", "none"],
)
def test_workers_of_another_version(preload: str, message: str, empty: Cluster, tmp_path: Path) -> None:
    (tmp_path / "old.py").write_text(preload)
    worker = empty.workers(1, "--preload", str(tmp_path / "old.py"))
    try:
        with pytest.raises(BadInput, match=message):
            Team.connect(empty.address)
    finally:
        empty.end(worker)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"torch": "1.13.1"}, r"has torch 1\.13\.1, and here it is 2\..*Install the same on every machine"),
        ({"numba": "that does not run"}, r"has Numba that does not run, and here it is 0\..*Install the same on every"),
        ({"code": "abc"}, r"has the files of Locality Lab abc, and here it is [0-9a-f]{12}\."),
    ],
)
def test_workers_of_another_torch_or_other_files(other: dict[str, str], message: str) -> None:
    told = facts()
    assert check_same("tcp://there", told, 0).address == "tcp://there"
    with pytest.raises(BadInput, match=message):
        check_same("tcp://there", replace(told, **other), 0)  # type: ignore[arg-type]


def _look_on(team: Team) -> None:
    for _ in range(100):
        time.sleep(0.05)
        team.look()


def test_a_worker_without_memory_and_a_cluster_that_goes_away(empty: Cluster) -> None:
    (worker,) = empty.workers(1, "--memory-limit", "100MB")
    compute = ClusterCompute(cluster=empty.address)
    try:
        with pytest.raises(TooLarge, match=r"process \d+ on .* is to hold 50 images of made and needs .* budget is 0"):
            compute.shards(eight_bit(50))
        worker.kill()
        worker.wait()
        with pytest.raises(Unreachable, match=r"All workers of tcp://.* are gone: tcp://.* \(process \d+ on"):
            _look_on(compute.team)
    finally:
        leave(empty.address)
