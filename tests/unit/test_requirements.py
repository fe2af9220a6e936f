"""What is installed is what is pinned, and nothing heavier sneaks in."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import pytest

_FILE = Path(__file__).resolve().parents[2] / "requirements.txt"
_LINES = [line.strip() for line in _FILE.read_text().splitlines() if line.strip() and not line.startswith("#")]


@pytest.mark.parametrize("line", _LINES)
def test_every_line_is_one_exact_pin_and_installed(line: str) -> None:
    match = re.fullmatch(r"([a-z0-9-]+)==([0-9][0-9.]*)", line)
    assert match, f"{line!r} is not name==version"
    installed, _, _ = version(match[1]).partition("+")  # a local part such as +cpu names a build, not a version
    assert installed == match[2]


def test_torch_is_the_promised_one_and_no_gpu_wheels_are_asked_for() -> None:
    names = {line.partition("==")[0] for line in _LINES}
    assert "torch==2.13.0" in _LINES
    assert len(names) == len(_LINES)
    assert not {name for name in names if name.startswith(("nvidia", "torchvision", "triton", "cuda"))}
