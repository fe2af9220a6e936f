"""Imports of the scripts, app.py and pages/, which import-linter does not see: strictly downward."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def imported(source: str) -> set[str]:
    """Every dotted name a module imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            names |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return names


def breaches(path: str, names: set[str]) -> set[str]:
    """What a script at `path` may not import: app.py, other pages, and from pages/_ui anything above it."""
    allowed = ("pages._ui",)
    ours = {name for name in names if name.split(".")[0] in ("app", "pages") or name.startswith(".")}
    return {
        name
        for name in ours
        if not (name == "pages" or name.startswith(allowed) or (path.startswith("pages/_ui/") and name.startswith(".")))
    }


SCRIPTS = sorted([*ROOT.glob("app.py"), *ROOT.glob("pages/**/*.py")])


@pytest.mark.parametrize("path", [script.relative_to(ROOT).as_posix() for script in SCRIPTS])
def test_scripts_import_downward(path: str) -> None:
    assert not breaches(path, imported((ROOT / path).read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("pages/_ui/charts.py", "import app"),
        ("pages/_ui/charts.py", "from pages.lab import thing"),
        ("pages/lab/01_Explorer.py", "def f():\n    import pages.lab.other"),
        ("pages/lab/01_Explorer.py", "from . import other"),
        ("app.py", "from pages.lab.x import y"),
    ],
)
def test_the_check_sees_breaches(path: str, source: str) -> None:
    assert breaches(path, imported(source))


def test_no_page_lies_directly_in_pages() -> None:
    """Streamlit would serve it in its legacy mode, without app.py, to the first visitor of a fresh server."""
    assert not list((ROOT / "pages").glob("*.py"))
