"""Named files of a folder, a zip or tars, listed in one order and read one at a time into memory."""

from __future__ import annotations

import re
import threading
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol, runtime_checkable

from locality.errors import BadInput, TooLarge
from locality.pictures.walk import Found, hidden

MAX_FILE = 256_000_000  # bytes of one unpacked file; a 64-megapixel image fits
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError)


@runtime_checkable
class Stream(Protocol):
    """Bytes that can be read from any place of a file."""

    def read(self, count: int = ..., /) -> bytes: ...

    def seek(self, offset: int, whence: int = ..., /) -> int: ...

    def tell(self) -> int: ...


class Archive(ABC):
    """Files by relative name, with '/' between folders; `names` are sorted, hidden ones left out.

    `odd` says in words what was met besides files.
    """

    title: str
    names: list[str]
    odd: Sequence[str] = ()

    @abstractmethod
    def stream(self, name: str) -> AbstractContextManager[Stream]:
        """The file, to be read from its start. Raises BadInput (unreadable)."""

    @abstractmethod
    def size(self, name: str) -> int:
        """Bytes of the file, as declared."""

    def where(self, name: str) -> str:
        """What messages call the file."""
        return f"{name} in {self.title}"

    def read(self, name: str) -> bytes:
        """All bytes of a file.

        Raises:
            TooLarge: more than 256 MB, whatever is declared.
            BadInput: unreadable.
        """
        try:
            with self.stream(name) as file:
                # The size an archive declares may lie: read one byte more than is allowed, not all.
                raw = file.read(MAX_FILE + 1)
        except DAMAGE as error:
            raise BadInput(f"{self.where(name)} cannot be read ({reason(error)}).") from None
        if len(raw) > MAX_FILE:
            size = max(self.size(name), len(raw))
            raise TooLarge(self.where(name), size, MAX_FILE, "Take it out of the set, or save it smaller.")
        return raw


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """A zip. Raises BadInput (no zip, or damaged)."""
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise BadInput(
            f"{path.name} is cut short or damaged: its zip cannot be read ({reason(error)}). Copy or download it again."
        ) from None
    with archive:
        yield archive


class FolderArchive(Archive):
    """The files of a folder."""

    def __init__(self, root: Path, found: Found) -> None:
        self.root, self.title, self._found = root, root.name, found
        self.names = list(found.files)
        self.odd = [*_listed("dead link", found.dead), *_listed("link to a folder above it", found.loops)]

    def where(self, name: str) -> str:
        return name

    def size(self, name: str) -> int:
        return self._found.files[name][0]

    def stream(self, name: str) -> AbstractContextManager[Stream]:
        return (self.root / name).open("rb")


class ZipArchive(Archive):
    """The files of a zip. Raises BadInput (names that leave it)."""

    def __init__(self, title: str, archive: zipfile.ZipFile) -> None:
        self.title, self._archive = title, archive
        self.names = inside([entry.filename for entry in archive.infolist() if not entry.is_dir()], title)

    def size(self, name: str) -> int:
        return self._archive.getinfo(name).file_size

    def stream(self, name: str) -> AbstractContextManager[Stream]:
        return self._archive.open(name)


class PartOf:
    """A stretch of a file as a file of its own, for members of a tar; several may be read at once."""

    def __init__(self, file: Stream, lock: threading.Lock, start: int, size: int) -> None:
        self._file, self._lock, self._start, self._size, self._at = file, lock, start, size, 0

    def read(self, count: int = -1) -> bytes:
        left = max(self._size - self._at, 0)
        with self._lock:
            self._file.seek(self._start + self._at)
            raw = self._file.read(left if count < 0 else min(count, left))
        self._at += len(raw)
        return raw

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = max((0, self._at, self._size)[whence] + offset, 0)
        return self._at

    def tell(self) -> int:
        return self._at

    def __enter__(self) -> PartOf:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing: the tar stays open."""


def inside(names: Sequence[str], title: str) -> list[str]:
    """Names of files in an archive, sorted, hidden ones left out. Raises BadInput (one that leaves the archive)."""
    for name in names:
        if re.match(r"[/\\]|[A-Za-z]:", name) or ".." in re.split(r"[/\\]", name):
            raise BadInput(f"{title} was not opened: the name {name!r} in it leaves the archive.")
    return sorted(name for name in names if not hidden(name))


def first_three(names: Sequence[str]) -> str:
    """`a, b, c and 4 more`."""
    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _listed(what: str, names: Sequence[str]) -> list[str]:
    return [f"{len(names)} {what}{'s' * (len(names) > 1)} ({first_three(names)})"] if names else []


def reason(error: BaseException) -> str:
    """Another library's error in one short line."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())[:120]
