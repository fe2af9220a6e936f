"""Cells as tasks of a cluster's workers: those of one model and the same images together, for they share its images."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from locality.cluster.compute import ClusterCompute
from locality.cluster.held import Failure
from locality.cluster.tasks import Errand, as_made
from locality.errors import DigestMismatch, LocalityError, NonFinite, TooLarge
from locality.store import Artifact, Store
from locality.studies.benchmark.cells import Cell, cells
from locality.studies.benchmark.competitors import REFERENCE, SECOND, Setup
from locality.studies.benchmark.extractors import find_extractors
from locality.studies.benchmark.plan import BenchPlan
from locality.studies.benchmark.runner import Runner
from locality.studies.benchmark.setup import enter
from locality.work import finish

Packed = tuple[dict[str, NDArray[Any]], dict[str, Any]]
Made = Generator[tuple[Cell, Artifact | LocalityError], None, None]


def make_there(
    setup: Setup,
    missing: Sequence[Cell],
    store: Store,
    compute: ClusterCompute,
    inception: Path | None,
    classifier: Path | None,
) -> Made:
    """Each cell as it is made, or why its model failed.

    The reference comes first, then the second network: others stand beside their images, which a worker that sees the
    store of the others reads there, and draws again where it does not.

    Raises:
        DataUnavailable, UnknownName, DigestMismatch: a worker has not these images and models.
        NonFinite, TooLarge: the reference gave NaN, or does not fit the memory budget.
    """
    errand = Errand.of(setup.source, store, compute)
    files = tuple(None if path is None else str(path.absolute()) for path in (inception, classifier))
    for kinds in ({REFERENCE}, {SECOND}, {one.kind for one in setup.everyone} - {REFERENCE, SECOND}):
        groups: dict[tuple[str, int], list[Cell]] = {}
        for cell in missing:
            if cell.competitor.kind in kinds:
                groups.setdefault((cell.competitor.name, cell.images.start), []).append(cell)
        each = list(groups.values())
        tasks = [(errand, setup.plan, files, tuple(cell.address for cell in group)) for group in each]
        for number, found in as_made(compute, _task, tasks):
            if isinstance(found, Failure):
                error = found.error()
                if not isinstance(error, NonFinite | TooLarge) or REFERENCE in kinds:
                    raise error
                yield each[number][0], error
                continue
            for cell, (arrays, meta) in zip(each[number], found, strict=True):
                yield cell, Artifact({name: torch.from_numpy(array) for name, array in arrays.items()}, meta)


def _task(errand: Errand, plan: BenchPlan, files: tuple[str | None, ...], addresses: tuple[str, ...]) -> list[Packed]:
    runner, known = _open(errand, plan, files)
    made = []
    for address in addresses:
        if address not in known:
            raise DigestMismatch("Its images, networks or extractors are others. Copy the same files to all machines.")
        cell = known[address]
        kept = runner.store.get(cell.store_kind, cell.key)  # made before its worker was lost, say
        artifact = finish(runner.make(cell)) if kept is None else kept
        runner.store.put(cell.store_kind, cell.key, artifact)
        made.append(({name: np.array(array) for name, array in artifact.arrays.items()}, artifact.meta))
    return made


@lru_cache(maxsize=1)
def _open(errand: Errand, plan: BenchPlan, files: tuple[str | None, ...]) -> tuple[Runner, dict[str, Cell]]:
    """A worker's own runner, and the cells by address."""
    inception, classifier = (None if name is None else Path(name) for name in files)
    setup = enter(errand.source, plan, errand.store)
    extractors, _ = find_extractors(errand.source, plan, errand.store, inception, classifier)
    every = {cell.address: cell for cell in cells(setup, extractors)}
    return Runner(setup, errand.store, errand.compute), every
