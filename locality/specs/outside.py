"""Python files from outside the package: those LOCALITY_PLUGINS names, and those a command is given as a model.

Such a file is code of the user's own and runs with the user's rights: only the environment and the command line name
it, never a page or a link (`allow_files`). It registers its classes like any plug-in of the package, or makes a network
where it is named with a function, `my_net.py:build`, and options behind a second colon. What is computed with it is
kept under the digest of the file, so a changed file gives new results. What it prints goes to stderr.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

from locality.errors import BadInput, LocalityError, first_line
from locality.specs.code import VARIABLE, Code, code_of, plugin_places
from locality.specs.registry import DIGEST, Registry

_loaded: dict[Path, ModuleType] = {}
_named: dict[Code, None] = {}  # functions that LOCALITY_PLUGINS names, in order
_allowed: list[bool] = []  # not empty: whoever names a file may have it imported
_lock = threading.RLock()
_PACKAGE = Path(__file__).resolve().parents[1]


def allow_files() -> None:
    """From here on whoever names a Python file as a model has it imported: for the command line, never for a server."""
    _allowed.append(True)


def named_codes() -> list[Code]:
    """The functions LOCALITY_PLUGINS named when the process started, in order."""
    return list(_named)


def function_of(code: Code) -> Callable[..., Any]:
    """The function, its file imported once a process.

    Raises:
        BadInput: nobody who may has named it; no such file or function; or the file fails.
    """
    if not _allowed and code not in _named:
        raise BadInput(
            f"{code.short} is Python code, and a page or a library opens none that is only typed. "
            f"Start with {VARIABLE}={code.text}, or give it to a command as --model."
        )
    with _lock:
        if code.path not in _loaded:
            if not code.path.is_file():
                raise BadInput(f"{code.path} does not exist. Give a Python file and a function: my_net.py:build.")
            _loaded[code.path] = _load(code.path, "as a model")
    module = _loaded[code.path]
    made = getattr(module, code.function, None)
    if not callable(made):
        own = (name for name, one in vars(module).items() if getattr(one, "__module__", "") == module.__name__)
        there = [name for name in own if callable(getattr(module, name))]
        raise BadInput(f"{code.path} has no function {code.function!r}. It has: {', '.join(there) or 'none'}.")
    found: Callable[..., Any] = made
    return found


def source_digest(code: Code) -> str:
    """SHA-256 of the file and of those beside and below it that it imports from: what its network is made by."""
    files = {code.path: _loaded[code.path]}
    queue = [_loaded[code.path]]
    while queue:
        for module in map(_module_of, list(vars(queue.pop()).values())):
            path = Path(getattr(module, "__file__", None) or "/")
            own = path.is_relative_to(code.path.parent) and "site-packages" not in path.parts
            if module is not None and own and not path.is_relative_to(_PACKAGE) and path not in files:
                files[path] = module
                queue.append(module)
    each = sorted(hashlib.sha256(path.read_bytes()).digest() for path in files)
    return hashlib.sha256(b"".join(each)).hexdigest()


def _module_of(value: Any) -> ModuleType | None:
    """A module, or the one that a class or function was written in."""
    name = getattr(value, "__module__", None)
    return value if isinstance(value, ModuleType) else sys.modules.get(name) if isinstance(name, str) else None


def load_plugins() -> None:
    """Import every file that LOCALITY_PLUGINS names, and every *.py of a folder it names, once a process.

    Names are separated as those of PATH; files that begin with _ are left out. `FILE.py:FUNCTION` names a network.

    Raises:
        BadInput: a file that does not exist, fails, or registers a name that is taken or a class that is not complete;
            names the file. Nothing of it is left registered.
    """
    with _lock:  # several sessions of a server may begin together
        for place in plugin_places():
            if (code := code_of(place)) is not None:
                _named[code] = None
                try:
                    function_of(code)
                except BadInput:
                    del _named[code]
                    raise
                continue
            for path in _files(Path(place).expanduser()):
                if path not in _loaded:
                    _loaded[path] = _load(path, VARIABLE)


def blame(error: BaseException) -> str:
    """What to say of an error that was raised inside a file from outside; "" where none was involved."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if Path(frame.filename) in _loaded:
            return (
                f"The plug-in {frame.filename} failed at line {frame.lineno}: {first_line(error)}. "
                "The command `check` holds it to what a plug-in must do; `checkpoint` tries a network."
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


def _load(path: Path, why: str) -> ModuleType:
    source = path.read_bytes()
    place = hashlib.sha256(str(path).encode()).hexdigest()[:8]  # two files may have one name
    name = f"locality_plugin_{re.sub(r'[^A-Za-z0-9_]', '_', path.stem)}_{place}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    setattr(module, DIGEST, hashlib.sha256(source).hexdigest())
    module.__dict__["print"] = _print  # stdout is for results, and a redirection would not hold in threads
    sys.modules[name] = module  # dataclasses look their module up
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # what lies beside it, as where it is run itself; last, so it hides nothing
    try:
        with redirect_stdout(sys.stderr):
            exec(compile(source, str(path), "exec"), module.__dict__)  # the very bytes of the digest, not a kept .pyc
    except (Exception, SystemExit) as error:
        _forget(module)
        what = str(error) if isinstance(error, LocalityError) else f"{first_line(error)}{line_in(error, path)}"
        raise BadInput(f"The plug-in {path} ({why}) cannot be used. {what}") from error
    return module


def _print(*values: Any, **options: Any) -> None:
    options.setdefault("file", sys.stderr)
    print(*values, **options)  # noqa: T201  the file's own words


def _forget(module: ModuleType) -> None:
    sys.modules.pop(module.__name__, None)
    for registry in Registry.every:
        registry.forget(module.__name__)


def line_in(error: BaseException, path: Path) -> str:
    """Where in the file it happened, as ` (line 3)`; "" where that is not known."""
    if isinstance(error, SyntaxError):
        return ""  # its text names the line
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f" (line {lines[-1]})" if lines else ""
