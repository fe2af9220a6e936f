"""A set three times the memory that the system gives the process: commands give the numbers of a set in memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.pictures import noise

LIMIT = 20_000_000  # bytes of memory that files do not back, beside what libraries have taken
SIDE, VALUES = 8, 192

_WORK = """
import io, json, os, resource, sys
from contextlib import redirect_stdout
from pathlib import Path
folder, limit, way = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
os.environ["LOCALITY_CACHE"] = str(folder / ("cache-" + way))
import numpy as np, torch
from locality.__main__ import main
from locality.pictures import decoded

torch.set_num_threads(1)
if way != "mapped":
    def read(path, dtype, start, shape):
        return np.fromfile(path, dtype, shape[0] * shape[1], offset=start).reshape(shape)
    decoded._mapped = read

def command(*words):
    sys.argv, said = ["locality", *map(str, words), "--json"], io.StringIO()
    try:
        with redirect_stdout(said):
            main()
    except SystemExit as end:
        if end.code:
            raise
    return json.loads(said.getvalue())

def work(name):
    source = f"folder:path={folder / name},resolution=8"
    net, drawn = folder / f"net-{way}-{name}", folder / f"drawn-{way}-{name}.npz"
    found = {}
    found["stats"] = command("stats", source, "--memory", 12)
    if way == "read":
        return found
    found["approximate"] = command("stats", source, "--memory", 12, "--approximate", 40)
    found["edited"] = command("stats", source + "+mirror", "--memory", 12)
    found["train"] = command("train", source, "--network", "mlp:width=16,depth=1", "--images", 128, "--out", net)
    shared = "--steps", 3, "--memory", 8
    command("sample", source, "--model", "optimal:flips=true", "-n", 2, *shared, "--out", drawn)
    with np.load(drawn) as arrays:
        found["sample"] = np.round(arrays["x0_hat"], 5).tolist()
    plan = "-n", 2, *shared, "--real", 200, "--features", "pixels", "--second", "none"
    found["bench"] = command("bench", source, "--reference", net, "--model", "optimal", *plan)["rows"]
    return found

work("small.npy")  # libraries take what they take
if limit:
    lines = open("/proc/self/status")
    used = next(int(line.split()[1]) for line in lines if line.startswith("VmData:")) * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (used + limit, used + limit))
print(json.dumps(work("large.npy")).replace("-" + way, ""))
"""


def run(folder: Path, limit: int, way: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _WORK, str(folder), str(limit), way]
    # What glibc keeps for later would count as taken: every large array is given back at once.
    glibc = {"MALLOC_MMAP_THRESHOLD_": "500000", "MALLOC_ARENA_MAX": "1"}
    env = {**os.environ, **glibc}
    return subprocess.run(command, capture_output=True, text=True, timeout=290, check=False, env=env)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of three times the limit, and a small one."""
    made = tmp_path_factory.mktemp("sets")
    n = 3 * LIMIT // VALUES
    images = np.lib.format.open_memmap(made / "large.npy", "w+", np.uint8, (n, SIDE, SIDE, 3))
    for start in range(0, n, 65536):
        part = images[start : start + 65536]
        part[:] = noise(start, *part.shape)
    np.save(made / "small.npy", images[:3000])
    return made


def numbers(found: Any) -> Any:
    """All that does not depend on the clock, the folder and the process."""
    if isinstance(found, dict):
        other = ("seconds", "rate", "minutes", "bytes", "out", "command", "folder", "path", "name", "created")
        return {key: numbers(value) for key, value in found.items() if not any(word in key for word in other)}
    return [numbers(value) for value in found] if isinstance(found, list) else found


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory that a process may take for itself")
def test_a_set_three_times_the_memory_gives_the_same_numbers(folder: Path) -> None:
    within = run(folder, LIMIT, "mapped")
    assert within.returncode == 0, within.stderr[-3000:]
    beside = run(folder, 0, "in-memory")
    assert beside.returncode == 0, beside.stderr[-3000:]
    small, large = json.loads(within.stdout), json.loads(beside.stdout)
    assert small["stats"]["n"] == 3 * LIMIT // VALUES - -(-3 * LIMIT // VALUES // 10)
    for name, found in small.items():
        assert numbers(found) == numbers(large[name]), name


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory that a process may take for itself")
def test_the_limit_is_one(folder: Path) -> None:
    """The same fails where the set is read into memory."""
    ran = run(folder, LIMIT, "read")
    assert ran.returncode != 0
    assert "MemoryError" in ran.stderr or "allocate" in ran.stderr, ran.stderr[-2000:]
