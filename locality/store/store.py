"""Results kept by content: what was computed once from the same data and options is read back.

Two places behind one interface: the artefacts shipped with the repository, then this machine's
cache. Two processes or threads that want the same result build it once.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from locality.errors import BadInput, DigestMismatch, LocalityError
from locality.places import home, local_cache
from locality.store.artifact import Artifact, as_stored, digest, encode
from locality.store.localcache import LocalCache
from locality.store.shipped import ShippedFolder
from locality.work import Progress

__all__ = ["Artifact", "Store", "default_store", "digest"]

_log = logging.getLogger(__name__)


class Store:
    """Artefacts by kind and key. Threads may share one; processes may share its folders.

    Args:
        local: folder of this machine's cache; made when first needed.
        shipped: folder of the artefacts of the repository, None for none.
        size_limit: bytes `local` may hold. The oldest entries leave first; a larger one is not kept.
    """

    def __init__(self, local: Path, shipped: Path | None = None, *, size_limit: int = 4 * 10**9) -> None:
        self.local = local
        self.shipped_root = shipped
        self._cache = LocalCache(local, size_limit)
        self._shipped = None if shipped is None else ShippedFolder(shipped)
        self._damage: dict[str, DigestMismatch] = {}  # shipped files found damaged, by address

    def get(self, kind: str, key: Mapping[str, Any]) -> Artifact | None:
        """The artefact of a key; None where there is none, or where it is damaged.

        Damage is logged as a warning and stops nothing: the key names the result in full, so
        building it again gives the same one.

        Raises:
            BadInput: a key JSON cannot hold, or a cache folder that cannot be used.
        """
        address = digest(kind, key)
        if self._shipped is not None:
            try:
                found = self._shipped.find(kind, address)
            except DigestMismatch as damage:
                self._damage[address] = damage
                _log.warning("%s", damage)
            else:
                self._damage.pop(address, None)
                if found is not None:
                    return found
        return self._cache.get(address)

    def put(self, kind: str, key: Mapping[str, Any], artifact: Artifact) -> None:
        """Keep an artefact in this machine's cache; one larger than the limit is not kept.

        Raises:
            BadInput: values JSON or safetensors cannot hold, or a cache folder that cannot be used.
        """
        self._cache.put(digest(kind, key), encode(artifact))

    def kept(
        self, kind: str, key: Mapping[str, Any], work: Generator[Progress, None, Artifact], *, once: bool = True
    ) -> Generator[Progress, None, Artifact]:
        """The artefact of a key; where there is none `work` makes it, events passed on, and it is kept.

        Args:
            work: long work that has not begun; it never begins where the artefact is there.
            once: others who ask at the same time, threads and processes, wait for the first. Without it all make it:
                for work that somebody may leave standing half-way, or wants to stop.
        Raises:
            BadInput: as `get` and `put`.
            DigestMismatch: the shipped file is damaged and `work` cannot replace it.
            LocalityError: whatever `work` raises.
        """
        found, address = self.get(kind, key), digest(kind, key)
        if found is None:
            with self._cache.lock(address) if once else nullcontext():
                found = self._cache.get(address) if once else None  # another may have made it meanwhile
                if found is None:
                    with self._damage_first(address):
                        found = as_stored((yield from work))
                    self.put(kind, key, found)
        return found

    def cached(self, kind: str, key: Mapping[str, Any], build: Callable[[], Artifact]) -> Artifact:
        """`kept` for a plain function, which has no progress to tell: once, the others wait. Raises as `kept`."""

        def work() -> Generator[Progress, None, Artifact]:
            yield from ()
            return build()

        made = self.kept(kind, key, work())
        while True:
            try:
                next(made)
            except StopIteration as end:
                found: Artifact = end.value
                return found

    def ship(self, name: str, kind: str, key: Mapping[str, Any], artifact: Artifact, about: Mapping[str, Any]) -> Path:
        """Write an artefact and its manifest under shipped/<kind>/; returns the payload's path.

        Args:
            about: how it was made: command, versions, source of the data.
        Raises:
            BadInput: no shipped folder, a name that is not a file name, values JSON cannot hold.
            DigestMismatch: the disk gave other bytes back.
        """
        if self._shipped is None:
            raise BadInput(
                f"{name!r} cannot be shipped: this store has no shipped folder. Give Store(..., shipped=...)."
            )
        path = self._shipped.write(name, kind, key, artifact, about)
        self._shipped.find(kind, digest(kind, key))  # raises where the disk gives other bytes back
        return path

    def shipped(self, kind: str) -> list[dict[str, Any]]:
        """Manifests of the shipped artefacts of a kind, by name; unreadable ones are logged and left out."""
        return [] if self._shipped is None else self._shipped.manifests(kind)

    def close(self) -> None:
        """Close this thread's connection to the cache; the next use opens it again."""
        self._cache.close()

    @contextmanager
    def _damage_first(self, address: str) -> Iterator[None]:
        try:
            yield
        except LocalityError as error:
            if address in self._damage:  # the damage is what the user can mend
                raise self._damage[address] from error
            raise


@functools.cache
def default_store() -> Store:
    """The store of pages and command line: cache/local (or LOCALITY_CACHE) and cache/shipped."""
    return Store(local_cache(), home() / "cache" / "shipped")
