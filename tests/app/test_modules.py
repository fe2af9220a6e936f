"""Modules joined into one script: names stay apart, what is not allowed is named with its line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pages._ui.lab.modules import linked

_UI = Path(__file__).resolve().parents[2] / "pages" / "_ui"
VIEWS = sorted(path.parent.name for path in _UI.glob("*/view.js"))


def write(folder: Path, **files: str) -> Path:
    """Write modules by name; the path of the first."""
    for name, text in files.items():
        (folder / f"{name}.js").write_text(text)
    return folder / f"{next(iter(files))}.js"


def test_the_views_are_found() -> None:
    assert VIEWS == ["architectures", "bench", "edit", "explorer", "samples", "train"]


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_is_one_script_with_one_entry(name: str) -> None:
    script = linked(_UI / name / "view.js")
    assert not re.search(r"^import ", script, flags=re.M)
    assert re.findall(r"^export .*", script, flags=re.M)[-1] == f"export default {name}_view.exported"
    assert script.count("const lab_math = ") == 1, "a module that several import is there once"


def test_a_module_stands_after_those_it_imports(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        top='import { a } from "./middle.js"\nimport { b } from "./low.js"\nexport const c = a + b\nexport default c\n',
        middle='import { b } from "./low.js"\nexport const a = b\n',
        low="export async function b() {}\n",
    )
    script, place = linked(path), tmp_path.name
    order = [script.index(f"const {place}_{name} = ") for name in ("low", "middle", "top")]
    assert order == sorted(order)
    assert script.endswith(f"export const {{ c }} = {place}_top\nexport default {place}_top.exported\n")


def test_a_script_without_exports_has_none(tmp_path: Path) -> None:
    assert "export " not in linked(write(tmp_path, alone="const a = 1\n"))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a": 'import x from "./b.js"\n', "b": ""}, r"^a\.js:1: write import \{ name, name \}"),
        ({"a": '\nimport {\n  x } from "./b.js"\n', "b": ""}, r"^a\.js:2: write import"),
        ({"a": 'import { x } from "https://host/b.js"\n'}, r"^a\.js:1: write import"),
        ({"a": "export { x }\n"}, r"^a\.js:1: write export function"),
        ({"a": 'import { x } from "./b.js"\n', "b": "export const y = 1\n"}, r"^a\.js:1: \./b\.js does not export x"),
        ({"a": 'import { x } from "./b.js"\n', "b": 'import { y } from "./a.js"\n'}, r"a\.js imports itself"),
    ],
    ids=["default import", "two lines", "foreign", "list of exports", "missing name", "circle"],
)
def test_what_is_not_allowed_is_named(tmp_path: Path, files: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        linked(write(tmp_path, **files))
