"""Every file below a folder with its size and time; links are followed, and those that lead back end there."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from locality.errors import BadInput, TooLarge

MOST = 5_000_000  # files of one set: links that fork again and again end here
Stamp = tuple[int, int]  # bytes, and time of the last change in nanoseconds


@dataclass(frozen=True)
class Found:
    """`files` by relative name with '/' between folders, sorted; what was met and is no file: dead links and loops."""

    files: dict[str, Stamp]
    dead: list[str] = field(default_factory=list)
    loops: list[str] = field(default_factory=list)


def hidden(name: str) -> bool:
    """Whether file managers leave it behind: .DS_Store, ._copies, __MACOSX."""
    return any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)


def walk(root: Path) -> Found:
    """The files below `root`, hidden ones left out.

    Raises:
        BadInput: a folder that may not be read.
        TooLarge: more than five million files.
    """
    files: dict[str, Stamp] = {}
    dead: list[str] = []
    loops: list[str] = []
    stack = [(str(root), "", frozenset({_identity(root)}))]
    while stack:
        folder, prefix, above = stack.pop()
        for entry in _entries(folder):
            name = prefix + entry.name
            if hidden(entry.name):
                continue
            try:
                about = entry.stat()
            except OSError:  # a link to nowhere, or to itself
                dead.append(name)
                continue
            if stat.S_ISDIR(about.st_mode):
                here = _identity(entry.path)
                if here in above:
                    loops.append(name)
                else:
                    stack.append((entry.path, f"{name}/", above | {here}))
            elif stat.S_ISREG(about.st_mode):
                files[name] = (about.st_size, about.st_mtime_ns)
            else:
                dead.append(name)
        if len(files) > MOST:
            raise TooLarge(f"{root} with its links followed", len(files), MOST, "(Files, not bytes.) Remove links.")
    return Found(dict(sorted(files.items())), sorted(dead), sorted(loops))


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError as error:
        raise BadInput(f"The folder {folder} cannot be read ({error.strerror}). Give this user the right to.") from None


def _identity(path: str | Path) -> tuple[int, int]:
    about = os.stat(path)  # noqa: PTH116 - a str of scandir, many times
    return about.st_dev, about.st_ino
