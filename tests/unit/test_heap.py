"""Memory that is freed is there for the next arrays."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from locality.heap import keep_freed

ROUNDS = """
import resource
from concurrent.futures import ThreadPoolExecutor
from locality.heap import keep_freed
set_ = keep_freed(one_heap=True)
def arrays():
    return len([bytearray(b"x") * (8 << 20) for _ in range(8)])
elsewhere = ThreadPoolExecutor(1)
arrays(), elsewhere.submit(arrays).result()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    arrays(), elsewhere.submit(arrays).result()
print(set_, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc is told")
@pytest.mark.parametrize(("chosen", "kept"), [({}, True), ({"MALLOC_TRIM_THRESHOLD_": "131072"}, False)])
def test_arrays_are_made_in_memory_that_was_freed(chosen: dict[str, str], kept: bool) -> None:
    """512 MB written in eight rounds, half of them by another thread: 131,072 pages asked for again, or next to none.

    The user's choice stays.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    told = subprocess.run(
        [sys.executable, "-c", ROUNDS], env=environment | chosen, capture_output=True, text=True, check=True
    )
    done, pages = told.stdout.split()
    assert done == str(kept)
    assert int(pages) < 2_000 if kept else int(pages) > 20_000


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed({})
