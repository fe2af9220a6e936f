"""Every writer killed some times; `make kills` does it 300 times."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from locality.store.atomic import settle, write_pair

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here")
def test_nothing_finished_is_lost_and_nothing_half_written_is_read() -> None:
    """In a process of its own: one that tests may have threads, which a fork would cut off."""
    command = [sys.executable, "-m", "tests.kills", "24", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout.split()[0]) >= 24


def test_a_pair_that_was_torn_apart_is_the_new_one_or_the_old_one(tmp_path: Path) -> None:
    payload, manifest = tmp_path / "a.bin", tmp_path / "a.json"
    texts = {name: f'{{"sha256": "{_sha256(name)}"}}'.encode() for name in (b"old", b"new")}
    write_pair(payload, b"old", manifest, texts[b"old"])
    (tmp_path / ".a.json.next").write_bytes(texts[b"new"])  # announced, and then killed
    settle(payload, manifest)
    assert (payload.read_bytes(), manifest.read_bytes()) == (b"old", texts[b"old"])
    payload.write_bytes(b"new")  # killed one step later
    settle(payload, manifest)
    assert manifest.read_bytes() == texts[b"new"]
    assert not (tmp_path / ".a.json.next").exists()


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b"\xff"])
def test_an_announcement_that_is_none_is_left_alone(text: bytes, tmp_path: Path) -> None:
    (tmp_path / ".a.json.next").write_bytes(text)
    settle(tmp_path / "a.bin", tmp_path / "a.json")
    assert not (tmp_path / "a.json").exists()


def _sha256(payload: bytes) -> str:
    return hashlib.sha256(payload).hexdigest()
