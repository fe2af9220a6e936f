"""The store between processes: built once, and usable after one of them is killed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from filelock import FileLock, Timeout

from locality.store import Artifact, Store, digest

ROOT = Path(__file__).resolve().parents[2]

# Says what it does on stdout, one word a line; a build counts itself in a file and waits for a line on stdin.
_ASK = """
import sys
from pathlib import Path
import torch
from locality.store import Artifact, Store

assert "diskcache" not in sys.modules, "importing the store must stay cheap"
folder = Path(sys.argv[1])

def build():
    with open(folder / "builds", "a") as log:
        log.write("built\\n")
    print("building", flush=True)
    sys.stdin.readline()
    return Artifact({"x": torch.full((50_000,), 3.0)})

print("asking", flush=True)
found = Store(folder / "cache").cached("thing", {"a": 1}, build)
print(found.arrays["x"].sum().item(), flush=True)
"""

_PUT_FOREVER = """
import itertools, sys
from pathlib import Path
import torch
from locality.store import Artifact, Store

store = Store(Path(sys.argv[1]) / "cache", size_limit=2_000_000)
for i in itertools.count():
    store.put("thing", {"i": i % 20}, Artifact({"x": torch.full((50_000,), float(i % 20))}))
    print("put", flush=True)
"""

Start = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a script in a process of its own; whatever still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def run(script: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", script, str(tmp_path)]
        pipe = subprocess.PIPE
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        started.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_two_processes_build_once(start: Start, tmp_path: Path) -> None:
    first = start(_ASK)
    assert [_line(first), _line(first)] == ["asking", "building"]
    held = FileLock(tmp_path / "cache" / "locks" / f"{digest('thing', {'a': 1})}.lock")
    with pytest.raises(Timeout):
        held.acquire(timeout=0)
    second = start(_ASK)
    assert _line(second) == "asking"
    first_says, _ = first.communicate("\n")
    second_says, _ = second.communicate("\n")
    assert first_says.split() == ["150000.0"]
    assert second_says.split() == ["150000.0"]  # and not "building"
    assert (tmp_path / "builds").read_text().split() == ["built"]


def test_a_process_killed_while_building_leaves_a_usable_store(start: Start, tmp_path: Path) -> None:
    victim = start(_ASK)
    assert [_line(victim), _line(victim)] == ["asking", "building"]
    victim.kill()  # SIGKILL: no handler runs, no lock is released by hand
    victim.wait()
    store = Store(tmp_path / "cache")
    built = store.cached("thing", {"a": 1}, lambda: Artifact({"x": torch.ones(3)}))
    assert built.arrays["x"].tolist() == [1, 1, 1]
    assert store.get("thing", {"a": 1}) is not None
    store.close()


def test_a_process_killed_while_writing_leaves_whole_entries_only(start: Start, tmp_path: Path) -> None:
    victim = start(_PUT_FOREVER)
    assert [_line(victim) for _ in range(25)] == ["put"] * 25  # eviction has begun: 200 kB each, 2 MB in all
    victim.kill()
    victim.wait()
    store = Store(tmp_path / "cache", size_limit=2_000_000)
    found = {i: store.get("thing", {"i": i}) for i in range(20)}
    whole = {i: artifact.arrays["x"] for i, artifact in found.items() if artifact is not None}
    assert whole
    assert all(torch.equal(x, torch.full((50_000,), float(i))) for i, x in whole.items())
    store.put("thing", {"i": 99}, Artifact({"x": torch.ones(3)}))
    assert store.get("thing", {"i": 99}) is not None
    store.close()
