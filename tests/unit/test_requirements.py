"""What is installed is what is pinned, nothing heavier sneaks in, and the app asks for no tools of the tests."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]


def pins(name: str) -> list[str]:
    lines = (line.strip() for line in (_ROOT / name).read_text().splitlines())
    return [line for line in lines if line and not line.startswith(("#", "-r "))]


APP, DEV = pins("requirements.txt"), pins("requirements-dev.txt")


@pytest.mark.parametrize("line", [*APP, *DEV])
def test_every_line_is_one_exact_pin_and_installed(line: str) -> None:
    match = re.fullmatch(r"([a-z0-9-]+)==([0-9][0-9.]*)", line)
    assert match, f"{line!r} is not name==version"
    installed, _, _ = version(match[1]).partition("+")  # a local part such as +cpu names a build, not a version
    assert installed == match[2]


def test_torch_is_the_promised_one_and_no_gpu_wheels_are_asked_for() -> None:
    names = {line.partition("==")[0] for line in [*APP, *DEV]}
    assert "torch==2.13.0" in APP
    assert len(names) == len(APP) + len(DEV)
    assert not {name for name in names if name.startswith(("nvidia", "torchvision", "triton", "cuda"))}


def test_the_app_asks_for_no_tool_of_the_tests() -> None:
    tools = ("pytest", "playwright", "mypy", "ruff", "hypothesis", "import-linter", "beartype")
    assert not [line for line in APP if line.startswith(tools)]
    assert "-r requirements.txt" in (_ROOT / "requirements-dev.txt").read_text()


def test_the_extra_of_clusters_is_pinned_as_the_tests_have_it() -> None:
    extras = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(extras["cluster"]) <= set(DEV)
