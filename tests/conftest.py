"""What all tests share: versions in the header, a cache of their own, one Hypothesis profile."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import torch

from locality.datasets import Source
from locality.device import threads
from locality.store import Store
from tests.clusters import Cluster, cluster
from tests.shell import Shell

# No deadline: on a busy two-core machine time says nothing about correctness.
hypothesis.settings.register_profile("locality", deadline=None, print_blob=True)
hypothesis.settings.load_profile("locality")

_SHOWN = ("torch", "numpy", "streamlit", "diffusers", "safetensors", "jaxtyping", "playwright")


def pytest_report_header() -> str:
    """Versions that decide numbers and pages, and where the images are looked for."""
    packages = ", ".join(f"{name} {version(name)}" for name in _SHOWN)
    data = os.environ.get("LOCALITY_DATA", "not set")
    return f"python {platform.python_version()}, {packages}; LOCALITY_DATA: {data}"


BROWSER = "tests/browser/"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests first: they take longest."""
    items.sort(key=lambda item: not item.nodeid.startswith(BROWSER))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Files are kept whole, and one process has all browser tests: two browsers on two cores wait for each other."""
    from xdist.scheduler import LoadFileScheduling

    class OneBrowser(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return BROWSER if nodeid.startswith(BROWSER) else str(super()._split_scope(nodeid))

    return OneBrowser(config, log)


@pytest.fixture(scope="session", autouse=True)
def own_share_of_the_cores() -> None:
    """Processes that run tests side by side do not fight for cores: threads that spin there make both slower."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers > 1:
        threads = max(1, (os.cpu_count() or 1) // workers)
        torch.set_num_threads(threads)
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))  # of the commands and servers that tests start


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """For a file of networks or images so small that they are slower on two threads than on one."""
    with threads(1):
        yield


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Tests never read or write the cache of whoever runs them."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCALITY_CACHE", str(folder))
        yield folder


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    return Shell(capsys, monkeypatch)


@pytest.fixture(scope="module")
def dask(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A scheduler with as many workers as its module says, which see no dataset but those that come with packages."""
    with cluster(tmp_path_factory.mktemp("dask"), {"LOCALITY_DATA": "/nowhere"}) as made:
        made.workers(request.module.WORKERS)
        yield made


@pytest.fixture
def team(dask: Cluster) -> Iterator[Any]:
    """The workers, as a computation is given them."""
    from locality.cluster.compute import ClusterCompute, leave

    yield ClusterCompute(cluster=dask.address)
    leave(dask.address)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty one, that reads nothing shipped."""
    made = Store(tmp_path / "store")
    yield made
    made.close()


@pytest.fixture
def digits() -> Source:
    """Small, and in every clone."""
    return Source.parse("digits")
