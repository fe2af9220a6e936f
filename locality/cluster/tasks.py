"""Pieces of a study that need nothing of each other, as tasks: each on some worker, and on another where that is lost.

Unlike averages, a task reads the images, checkpoints and kept results of its worker's machine.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from locality.cluster.compute import ClusterCompute
from locality.cluster.held import Failure
from locality.datasets import Source
from locality.device import Compute
from locality.errors import DataUnavailable, DigestMismatch, LocalityError
from locality.store import Store, default_store
from locality.work import heartbeat

if TYPE_CHECKING:
    from distributed import Future

_AHEAD = 4  # tasks a worker may be ahead of the slowest


@dataclass(frozen=True)
class Errand:
    """Images, store and knobs, as a task finds them again on its worker."""

    text: str
    first: int | None
    fingerprint: str
    local: str
    shipped: str
    compute: Compute

    @staticmethod
    def of(source: Source, store: Store, compute: Compute) -> Errand:
        """Of a study here."""
        shipped = "" if store.shipped_root is None else str(store.shipped_root.absolute())
        plain = Compute("cpu", compute.images, compute.draws, compute.memory, compute.decomposition)
        return Errand(source.text, source.first, source.fingerprint, str(store.local.absolute()), shipped, plain)

    @property
    def source(self) -> Source:
        """The images as this machine has them.

        Raises:
            DataUnavailable: it does not see them.
            DigestMismatch: they are others.
        """
        return _source(self.text, self.first, self.fingerprint)

    @property
    def store(self) -> Store:
        """The store of whoever asks where this machine sees its folders, else its own."""
        return _store(self.local, self.shipped)


@lru_cache(maxsize=2)
def _source(text: str, first: int | None, fingerprint: str) -> Source:
    source = Source.parse(text, first)
    if why := source.missing():
        raise DataUnavailable(f"{text} cannot be read there. {why}")
    if source.fingerprint != fingerprint:
        raise DigestMismatch(f"The images of {text} are others there. Copy the same files to all machines.")
    return source


@lru_cache(maxsize=2)
def _store(local: str, shipped: str) -> Store:
    if not Path(local).is_dir():
        return default_store()
    return Store(Path(local), Path(shipped) if shipped and Path(shipped).is_dir() else None)


def as_made(
    compute: ClusterCompute, function: Callable[..., Any], items: Sequence[tuple[Any, ...]], ahead: int = 0
) -> Iterator[tuple[int, Any]]:
    """Number and result of each `function(*item)`, as they come; a `Failure` is a result too.

    While one is waited for there are heartbeats, and what their listener raises ends it. `ahead`: how far beyond the
    first that is not finished tasks begin; 0 for no limit.
    """
    team, waiting = compute.team, list(range(len(items)))
    running: dict[str, tuple[int, Future[Any]]] = {}
    try:
        while waiting or running:
            first = min([*waiting[:1], *(number for number, _ in running.values())])
            for worker in team.members:
                if worker not in running and waiting and (not ahead or waiting[0] < first + ahead):
                    number = heapq.heappop(waiting)
                    running[worker] = number, team.submit(worker, function, *items[number])
            team.wait([future for _, future in running.values()])
            for worker, (number, future) in list(running.items()):
                if worker in team.members and future.status == "pending":
                    continue
                del running[worker]
                found = team.outcome(future) if worker in team.members else None
                if found is None:
                    heapq.heappush(waiting, number)
                    continue
                if isinstance(found, Failure):
                    found = Failure(found.kind, f"On the worker {team.members[worker]}: {found.text}")
                yield number, found
            heartbeat(0.0)
    finally:
        team.drop([future for _, future in running.values()])


def in_turn(compute: ClusterCompute, function: Callable[..., Any], items: Sequence[tuple[Any, ...]]) -> Iterator[Any]:
    """The results in the order of the items, a few ahead in memory. Raises what a task raises, naming its worker."""
    ready: dict[int, Any] = {}
    coming = as_made(compute, function, items, _AHEAD * len(compute.team.members))
    for number in range(len(items)):
        while number not in ready:
            made, found = next(coming)
            ready[made] = found
        yield value_of(ready.pop(number))


def value_of(found: Any) -> Any:
    """A result; raises the error it stands for."""
    if isinstance(found, Failure):
        error: LocalityError = found.error()
        raise error
    return found
