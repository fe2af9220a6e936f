"""This machine's cache: a diskcache of safetensors bytes, each beside its SHA-256, and build locks.

Damage is found when read, logged, dropped; the caller builds again. Nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from locality.errors import BadInput, DigestMismatch
from locality.store.artifact import Artifact, decode

if TYPE_CHECKING:
    from diskcache import Cache

_DATABASE = "cache.db"  # diskcache's name for its index
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_log = logging.getLogger(__name__)


class LocalCache:
    """Artefacts by address in <folder>/entries, locks in <folder>/locks; both made when first needed."""

    def __init__(self, folder: Path, size_limit: int) -> None:
        self.folder = folder
        self.size_limit = size_limit
        self._opened: Cache | None = None
        self._opening = threading.Lock()

    def get(self, address: str) -> Artifact | None:
        """The artefact at an address; None where there is none or it was damaged.

        Raises:
            BadInput: the folder cannot be used.
        """
        try:
            with self._usable():
                payload, checksum = self._cache().get(address, tag=True, retry=True)
            if payload is None:
                return None
            if type(payload) is bytes and hashlib.sha256(payload).hexdigest() == checksum:
                return decode(payload)
            reason = "its bytes changed on disk"
        except _Damaged as error:
            self._rebuild_index(error)
            return None
        except DigestMismatch as error:
            reason = str(error)
        _log.warning("Cache entry %s is damaged (%s) and dropped; it will be built again.", address, reason)
        self._cache().delete(address, retry=True)
        return None

    def put(self, address: str, payload: bytes) -> None:
        """Keep bytes; the oldest entries leave for them. More than the limit is not kept.

        Raises:
            BadInput: the folder cannot be used.
        """
        if len(payload) > self.size_limit:
            _log.info("%d bytes are over the cache's limit of %d: not kept.", len(payload), self.size_limit)
            return
        try:
            self._write(address, payload)
        except (_Damaged, DigestMismatch) as error:
            self._rebuild_index(error)
            self._write(address, payload)

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Exclude other threads and processes; a process that dies lets go."""
        from filelock import FileLock

        with self._usable():
            folder = self.folder / "locks"
            folder.mkdir(parents=True, exist_ok=True)
            # Not thread-local: a generator that builds may be resumed by another thread.
            held = FileLock(folder / f"{name}.lock", thread_local=False)
            held.acquire()
        try:
            yield
        finally:
            held.release()

    def close(self) -> None:
        """Close this thread's connection; the next use opens it again."""
        if self._opened is not None:
            self._opened.close()

    def _write(self, address: str, payload: bytes) -> None:
        checksum = hashlib.sha256(payload).hexdigest()
        with self._usable():
            cache = self._cache()
            # diskcache evicts ten entries at a time, the new one included: one by one, before, is kinder.
            while cache.volume() + len(payload) > self.size_limit:
                oldest = next(iter(cache), None)
                if oldest is None:
                    break
                cache.delete(oldest, retry=True)
            cache.set(address, payload, tag=checksum, retry=True)

    def _cache(self) -> Cache:
        with self._opening:
            if self._opened is None:
                from diskcache import Cache

                from locality.store.bytesdisk import BytesDisk

                self._opened = Cache(self.folder / "entries", disk=BytesDisk, cull_limit=0)
            return self._opened

    def _rebuild_index(self, damage: Exception) -> None:
        """Throw all entries away, unless another process has already done so."""
        with self.lock("index"), self._opening:
            if self._opened is not None:
                self._opened.close()
            self._opened = None
            if isinstance(damage, _Damaged) and _is_sound(self.folder / "entries" / _DATABASE):
                return
            _log.warning("The cache in %s is damaged (%s); it starts again empty.", self.folder, damage)
            shutil.rmtree(self.folder / "entries", ignore_errors=True)

    @contextmanager
    def _usable(self) -> Iterator[None]:
        """Tell a damaged index (_Damaged) from a folder that cannot be used (BadInput)."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
                raise _Damaged(str(error)) from None
            raise self._unusable(error) from None
        except OSError as error:
            raise self._unusable(error) from None

    def _unusable(self, error: Exception) -> BadInput:
        return BadInput(
            f"The cache folder {self.folder} cannot be used ({error}). "
            "Set LOCALITY_CACHE to a folder you may write to, on a disk with space."
        )


class _Damaged(Exception):
    """The index is not a sound database."""


def _is_sound(database: Path) -> bool:
    try:
        with closing(sqlite3.connect(database)) as connection:
            return bool(connection.execute("PRAGMA quick_check").fetchone() == ("ok",))
    except sqlite3.DatabaseError:
        return False
