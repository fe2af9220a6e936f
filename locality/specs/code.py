"""How Python files from outside are named: `my_net.py:build:option=value`, and what LOCALITY_PLUGINS lists."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "LOCALITY_PLUGINS"
_CODE = re.compile(r"(?P<file>.+\.py):(?P<function>[^\W\d]\w*)(?::(?P<options>.*))?", re.DOTALL)


@dataclass(frozen=True)
class Code:
    """A function of a Python file that makes a network, and its options as they are typed."""

    path: Path
    function: str
    options: str = ""

    @property
    def text(self) -> str:
        """As it is typed, wherever one is."""
        return self._spelled(str(self.path))

    @property
    def short(self) -> str:
        """Without the folder."""
        return self._spelled(self.path.name)

    def _spelled(self, file: str) -> str:
        return f"{file}:{self.function}:{self.options}" if self.options else f"{file}:{self.function}"


def code_of(text: str) -> Code | None:
    """The function that a model's text names; None where it names something else. Nothing is opened."""
    found = _CODE.fullmatch(text.strip())
    if found is None:
        return None
    try:
        file = Path(found["file"]).expanduser().resolve()
    except (OSError, RuntimeError, ValueError):  # too long, of a user that does not exist, with a zero byte
        return None
    return Code(file, found["function"], (found["options"] or "").strip())


def plugin_places(absolute: bool = False) -> list[str]:
    """What LOCALITY_PLUGINS names: files, folders, and functions of files with their options."""
    found: list[str] = []
    for piece in filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)):
        last = found[-1] if found else ""
        code = code_of(last)
        of_file = last.endswith(".py") and _defines(Path(last).expanduser(), piece)
        if of_file or (code is not None and not code.options and re.match(r"\w+\s*=", piece)):
            found[-1] = f"{last}:{piece}"
        else:
            found.append(piece)
    return [_absolute(place) for place in found] if absolute else found


def _absolute(place: str) -> str:
    code = code_of(place)
    return str(Path(place).expanduser().absolute()) if code is None else code.text


def _defines(path: Path, name: str) -> bool:
    """Whether a piece behind a file names something in it, and not another file or folder."""
    if not name.isidentifier():
        return False
    if not path.is_file() or not Path(name).exists():
        return True
    defined = rf"^(def|class)\s+{name}\b|^{name}\s*=|\bimport\b.*\b{name}\b"
    return re.search(defined, path.read_text(errors="replace"), re.MULTILINE) is not None
