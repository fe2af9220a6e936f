"""ES modules as one script: Streamlit takes a component's script as text, and a saved page loads nothing.

Every module becomes a function with names of its own, called once, after those it imports:

    const lab_math = (() => { ...; return { pearson } })()
    const explorer_view = (() => { const { pearson } = lab_math; ... })()

Modules keep to three forms, each a line that starts with its keyword; anything else is an error with its line:
`import { a, b } from "./file.js"`, `export function|class|const NAME`, and `export default EXPRESSION`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

_IMPORT = re.compile(r'import \{ (\w+(?:, \w+)*) \} from "(\.{1,2}/[\w./]+\.js)"')
_EXPORT = re.compile(r"export (?:(default) |(?:async )?(?:function|class|const) (\w+)\b)")
_DEFAULT = "exported"


@dataclass
class _Module:
    """One file: the variable that holds its exports, its text without their keywords, and what it imports."""

    name: str
    lines: list[str] = field(default_factory=list)
    exports: list[str] = field(default_factory=list)


def linked(entry: Path) -> str:
    """The entry and all it imports as one ES module with the entry's exports; one without any is a plain script too.

    Raises:
        ValueError: a form that is not allowed, a name that is not exported, or modules that import each other.
    """
    done: dict[Path, _Module] = {}
    module = _visit(entry.resolve(), done, ())
    parts = [_wrapped(one) for one in done.values()]
    names = [name for name in module.exports if name != _DEFAULT]
    if names:
        parts.append(f"export const {{ {', '.join(names)} }} = {module.name}\n")
    if _DEFAULT in module.exports:
        parts.append(f"export default {module.name}.{_DEFAULT}\n")
    return "".join(parts)


def _visit(path: Path, done: dict[Path, _Module], above: tuple[Path, ...]) -> _Module:
    if path in above:
        raise ValueError(f"{path.name} imports itself, by way of {', '.join(one.name for one in above)}.")
    if path in done:
        return done[path]
    module = _Module(f"{path.parent.name}_{path.stem}")
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            module.lines.append(_read(line, module, path, done, above))
        except ValueError as error:
            raise ValueError(f"{path.name}:{number}: {error}") from None
    done[path] = module  # after those it imports
    return module


def _read(line: str, module: _Module, path: Path, done: dict[Path, _Module], above: tuple[Path, ...]) -> str:
    """A line as it stands inside the module's function."""
    if line.startswith("import "):
        if (found := _IMPORT.fullmatch(line)) is None:
            raise ValueError('write import { name, name } from "./file.js" on one line.')
        other = _visit((path.parent / found[2]).resolve(), done, (*above, path))
        if missing := [name for name in found[1].split(", ") if name not in other.exports]:
            raise ValueError(f"{found[2]} does not export {', '.join(missing)}.")
        return f"const {{ {found[1]} }} = {other.name}"
    if line.startswith("export "):
        if (found := _EXPORT.match(line)) is None:
            raise ValueError("write export function, class, const or default before the name.")
        module.exports.append(found[2] or _DEFAULT)
        return line.replace("export default ", f"const {_DEFAULT} = ", 1) if found[1] else line.removeprefix("export ")
    return line


def _wrapped(module: _Module) -> str:
    body = "\n".join(module.lines)
    return f"const {module.name} = (() => {{\n{body}\nreturn {{ {', '.join(module.exports)} }}\n}})()\n"
