"""Named files of a folder or a zip, listed in one order and read one at a time into memory."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from locality.errors import BadInput, TooLarge

MAX_FILE = 256_000_000  # bytes of one unpacked file; a 64-megapixel image fits


class Archive(Protocol):
    """Files by relative name, with '/' between folders; `names` are sorted."""

    @property
    def names(self) -> list[str]: ...

    def read(self, name: str) -> bytes: ...


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """A folder, or a zip that is read in place: nothing is ever unpacked to disk.

    Raises:
        BadInput: neither of the two, damaged, or with names that leave the archive.
    """
    if path.is_dir():
        yield _Folder(path)
        return
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise BadInput(f"{path} is neither a folder nor a readable zip ({error}).") from None
    with archive:
        yield _Zip(path.name, archive)


def _hidden(name: str) -> bool:
    # What file managers leave behind: .DS_Store, ._copies, __MACOSX.
    return any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)


@dataclass(frozen=True)
class _Folder:
    root: Path

    @property
    def names(self) -> list[str]:
        files = (path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file())
        return sorted(name for name in files if not _hidden(name))

    def read(self, name: str) -> bytes:
        try:
            size = (self.root / name).stat().st_size
            if size > MAX_FILE:
                raise _too_large(name, size)
            return (self.root / name).read_bytes()
        except OSError as error:
            raise BadInput(f"{name} cannot be read ({error.strerror}).") from None


@dataclass(frozen=True)
class _Zip:
    title: str
    archive: zipfile.ZipFile

    @property
    def names(self) -> list[str]:
        names = [entry.filename for entry in self.archive.infolist() if not entry.is_dir()]
        for name in names:
            if re.match(r"[/\\]|[A-Za-z]:", name) or ".." in re.split(r"[/\\]", name):
                raise BadInput(f"{self.title} was not opened: the name {name!r} in it leaves the archive.")
        return sorted(name for name in names if not _hidden(name))

    def read(self, name: str) -> bytes:
        try:
            with self.archive.open(name) as file:
                # The size a zip declares may lie: read one byte more than is allowed, not all.
                raw = file.read(MAX_FILE + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
            raise BadInput(f"{name} in {self.title} cannot be read ({error}).") from None
        if len(raw) > MAX_FILE:
            raise _too_large(f"{name} in {self.title}", self.archive.getinfo(name).file_size)
        return raw


def _too_large(name: str, size: int) -> TooLarge:
    return TooLarge(name, size, MAX_FILE, "Take it out of the set, or save it smaller.")
