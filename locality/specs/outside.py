"""Plug-ins from outside the package: files that LOCALITY_PLUGINS names, imported once when a process starts.

Such a file is code of the user's own and runs with the user's rights: only the environment names it, never a page or
a link. It registers its classes like any plug-in of the package. What is computed with them is kept under the digest
of the file, so a changed file gives new results.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import sys
import threading
import traceback
from pathlib import Path
from types import ModuleType

from locality.errors import BadInput, LocalityError, first_line
from locality.specs.registry import DIGEST, Registry

VARIABLE = "LOCALITY_PLUGINS"
_loaded: set[Path] = set()
_lock = threading.Lock()


def load_plugins() -> None:
    """Import every file that LOCALITY_PLUGINS names, and every *.py of a folder it names, once a process.

    Names are separated as those of PATH; files that begin with _ are left out.

    Raises:
        BadInput: a file that does not exist, fails, or registers a name that is taken or a class that is not complete;
            names the file. Nothing of it is left registered.
    """
    with _lock:  # several sessions of a server may begin together
        for place in filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)):
            for path in _files(Path(place).expanduser()):
                if path not in _loaded:
                    _load(path)
                    _loaded.add(path)


def blame(error: BaseException) -> str:
    """What to say of an error that was raised inside a file from outside; "" where none was involved."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if Path(frame.filename) in _loaded:
            return (
                f"The plug-in {frame.filename} failed at line {frame.lineno}: {first_line(error)}. "
                "The command `check` holds it to what a plug-in must do."
            )
    return ""


def _files(place: Path) -> list[Path]:
    if place.is_dir():
        found = sorted(path.resolve() for path in place.glob("*.py") if not path.name.startswith("_"))
        if not found:
            raise BadInput(
                f"{VARIABLE}: the folder {place} has no plug-in, a file NAME.py. Write one, or leave it out."
            )
        return found
    if not place.is_file():
        raise BadInput(
            f"{VARIABLE}: {place} does not exist. Give files, or folders of files, joined by {os.pathsep!r}."
        )
    return [place.resolve()]


def _load(path: Path) -> None:
    source = path.read_bytes()
    place = hashlib.sha256(str(path).encode()).hexdigest()[:8]  # two files may have one name
    name = f"locality_plugin_{re.sub(r'[^A-Za-z0-9_]', '_', path.stem)}_{place}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    setattr(module, DIGEST, hashlib.sha256(source).hexdigest())
    sys.modules[name] = module  # dataclasses look their module up
    try:
        exec(compile(source, str(path), "exec"), module.__dict__)  # the very bytes of the digest, not a kept .pyc
    except (Exception, SystemExit) as error:
        _forget(module)
        what = str(error) if isinstance(error, LocalityError) else f"{first_line(error)}{_line(error, path)}"
        raise BadInput(f"The plug-in {path} ({VARIABLE}) cannot be used. {what}") from error


def _forget(module: ModuleType) -> None:
    sys.modules.pop(module.__name__, None)
    for registry in Registry.every:
        registry.forget(module.__name__)


def _line(error: BaseException, path: Path) -> str:
    """Where in the file it happened."""
    if isinstance(error, SyntaxError):
        return ""  # its text names the line
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f" (line {lines[-1]})" if lines else ""
