"""Files given for a while: each set under the digest of its content, gone with the last session that holds it."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from filelock import FileLock, Timeout

from locality.errors import BadInput
from locality.pictures import kept
from locality.pictures.names import is_image
from locality.pictures.scratch import check_disk, unusable
from locality.places import local_cache

_BLOCK = 1 << 20


class Readable(Protocol):
    """An open file."""

    def read(self, size: int = ..., /) -> bytes: ...

    def seek(self, offset: int, /) -> int: ...


class Given(NamedTuple):
    """One file as its owner calls it."""

    name: str
    size: int
    file: Readable


def uploads_root() -> Path:
    """Where every server has its folder of uploads."""
    return local_cache() / "uploads"


class Uploads:
    """Uploads of one server, in a folder of its own: threads may share it. What ended servers left is removed.

    Raises:
        BadInput: the cache folder cannot be used.
    """

    def __init__(self) -> None:
        root = uploads_root()
        try:
            root.mkdir(parents=True, exist_ok=True)
            _remove_orphans(root)
            self.folder = Path(tempfile.mkdtemp(dir=root)).resolve()
        except OSError as error:
            raise unusable(root, error) from None
        self._alive = FileLock(self.folder.with_suffix(".lock"), thread_local=False)
        self._alive.acquire()  # a process that dies lets go
        self._holders: dict[Path, set[str]] = {}
        self._lock = threading.Lock()

    def add(self, session: str, files: Sequence[Given], report: Callable[[float], None] = lambda _: None) -> Path:
        """Keep files for a session; one archive or array is that file, images and shards are a folder.

        The same files again are the same place: nothing is written twice.

        Raises:
            BadInput: no files, or an empty one.
            TooLarge: the disk has no room for them.
        """
        if not files:
            raise BadInput("Nothing was given. Drop a zip, tar, npz or parquet, or the images themselves.")
        if empty := next((one.name for one in files if not one.size), None):
            raise BadInput(f"{empty[:200]} is empty. Take it out, or save it again.")
        total = sum(one.size for one in files)
        check_disk(self.folder, "This upload", total)
        part = Path(tempfile.mkdtemp(prefix=".part-", dir=self.folder))
        try:
            names, digest, done = _names([one.name for one in files]), hashlib.sha256(), 0
            for one, name in zip(files, names, strict=True):
                digest.update(f"{name}\0{one.size}\0".encode())
                one.file.seek(0)
                with (part / name).open("wb") as out:
                    while block := one.file.read(_BLOCK):
                        digest.update(block)
                        out.write(block)
                        done += len(block)
                        report(done / total)
            place = self.folder / digest.hexdigest()[:16]
            with self._lock:
                if not place.exists():
                    part.rename(place)
                self._holders.setdefault(place, set()).add(session)
        except OSError as error:
            raise unusable(self.folder, error) from None
        finally:
            shutil.rmtree(part, ignore_errors=True)
        alone = len(names) == 1 and not is_image(names[0])
        return place / names[0] if alone else place

    def release(self, session: str) -> list[Path]:
        """End what a session holds; places that nobody holds any more are removed, and the sets decoded from them."""
        with self._lock:
            gone = []
            for place, holders in list(self._holders.items()):
                holders.discard(session)
                if not holders:
                    gone.append(place)
                    del self._holders[place]
                    shutil.rmtree(place, ignore_errors=True)
        for place in gone:
            kept.forget(place)
        return gone

    def close(self) -> None:
        """End what every session holds."""
        for session in {session for holders in self._holders.values() for session in holders}:
            self.release(session)
        shutil.rmtree(self.folder, ignore_errors=True)
        self._alive.release()


def is_gone(path: Path) -> bool:
    """Whether a path that does not exist is that of an upload."""
    return path.is_relative_to(uploads_root()) or path.is_relative_to(uploads_root().resolve())


def _names(given: Iterable[str]) -> list[str]:
    """Names that any disk takes, all different, folders left out."""
    found: dict[str, str] = {}  # in small letters, which some disks take for the same
    for name in given:
        plain = re.sub(r"[^\w.-]+", "-", re.split(r"[/\\]", name)[-1]).lstrip(".")[-120:] or "file"
        stem, dot, ending = plain.rpartition(".")
        tried, k = plain, 1
        while tried.lower() in found:
            k += 1
            tried = f"{stem}-{k}{dot}{ending}" if dot else f"{plain}-{k}"
        found[tried.lower()] = tried
    return list(found.values())


def _remove_orphans(root: Path) -> None:
    for mark in root.glob("*.lock"):
        lock = FileLock(mark, timeout=0)
        try:
            with lock:
                shutil.rmtree(mark.with_suffix(""), ignore_errors=True)
                kept.forget(mark.with_suffix(""))
        except Timeout:
            continue  # its server is at work
        mark.unlink(missing_ok=True)
