"""Real schedulers and workers of Dask, each a process of its own on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_LONGEST = 90.0  # seconds until a process is there, on a busy machine
_QUIET = ("--no-dashboard",)


class Cluster:
    """A scheduler and its workers, by number."""

    def __init__(self, folder: Path, environment: dict[str, str] | None = None) -> None:
        self.folder, self._started = folder, list[subprocess.Popen[bytes]]()
        self._environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **(environment or {})}
        self._environment.pop("LOCALITY_CLUSTER", None)
        self._file = folder / "scheduler.json"
        self._start("scheduler", "--scheduler-file", str(self._file), "--host", "127.0.0.1", "--port", "0")
        _until(self._file.exists)
        self.address = str(json.loads(self._file.read_text())["address"])

    def workers(self, count: int, *options: str) -> list[subprocess.Popen[bytes]]:
        """Start some more, and wait until they have joined."""
        from distributed import Client

        some = ("--no-nanny", "--nthreads", "1", "--host", "127.0.0.1", "--local-directory", str(self.folder))
        with Client(self.address, set_as_default=False) as client:
            before = len(client.nthreads())
            made = [self._start("worker", self.address, *some, *options) for _ in range(count)]
            _until(lambda: len(client.nthreads()) >= before + count)
        return made

    def until(self, count: int) -> None:
        """Wait until the scheduler knows that many."""
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            _until(lambda: len(client.nthreads()) == count)

    def end(self, some: Sequence[subprocess.Popen[bytes]] | None = None) -> None:
        """End these processes, or all."""
        for process in self._started if some is None else some:
            process.kill()
            process.wait()

    def _start(self, kind: str, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *options, *_QUIET]
        log = (self.folder / f"{kind}-{len(self._started)}.log").open("wb")
        with log:
            made = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log, cwd=self.folder)
        self._started.append(made)
        return made


@contextmanager
def cluster(folder: Path, environment: dict[str, str] | None = None) -> Iterator[Cluster]:
    """A scheduler without workers, ended with all it was given."""
    made = Cluster(folder, environment)
    try:
        yield made
    finally:
        made.end()


def _until(true: object) -> None:
    assert callable(true)
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < _LONGEST, "a process of Dask did not start"
        time.sleep(0.05)
