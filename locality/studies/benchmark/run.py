"""The benchmark: a grid of cells, each kept as soon as it is finished; and what of it is there already."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from locality.cluster.compute import ClusterCompute
from locality.cluster.here import usual
from locality.datasets import Source
from locality.device import Compute
from locality.errors import LocalityError, NonFinite, TooLarge
from locality.store import Artifact, Store, default_store
from locality.studies.benchmark.cells import Cell, cells
from locality.studies.benchmark.competitors import REFERENCE
from locality.studies.benchmark.distances import found_distances, make_distances
from locality.studies.benchmark.extractors import find_extractors
from locality.studies.benchmark.gather import gather
from locality.studies.benchmark.metrics import FEATURES
from locality.studies.benchmark.pace import Pace
from locality.studies.benchmark.plan import BenchPlan
from locality.studies.benchmark.rows import Bench
from locality.studies.benchmark.runner import Runner
from locality.studies.benchmark.setup import enter
from locality.studies.benchmark.spread import make_there
from locality.work import Progress, map_progress


@dataclass(frozen=True, eq=False, kw_only=True)
class CellFinished(Progress):
    """A cell has just been made and is kept: whoever reads with `found_bench` sees it."""

    model: str
    kind: str
    images: range
    address: str


def bench(
    source: Source,
    plan: BenchPlan,
    *,
    store: Store | None = None,
    compute: Compute | None = None,
    inception: Path | None = None,
    classifier: Path | None = None,
) -> Generator[Progress, None, Bench]:
    """Measure how well models explain a trained network: same noise, same images, errors on every number.

    Progress is in seconds, by the pace of the cells that are finished; numbers: cells, of, seconds_left. Closing the
    generator, or killing the process, loses at most the cell at hand; the next run goes on, and a larger count, another
    model or another metric makes only what is new. Two who run the same at one time may make a cell twice. A model that
    fails is reported at the end: everything of the others is finished first.

    Memory: one model and the reference open at a time, within `compute.memory` a call; a trajectory of 16 images.

    Args:
        inception: the file of the features "inception"; else where `download inception` puts it.
        classifier: a folder instead of the dataset's own classifier.
    Raises:
        DataUnavailable, UnknownName, BadInput, DigestMismatch: see `enter` and `find_extractors`; before any work.
        NonFinite, TooLarge: a model gave NaN, or does not fit the memory budget; everything else is finished and kept.
    """
    store, compute = store or default_store(), compute or usual()
    setup = enter(source, plan, store)
    extractors, notes = find_extractors(source, plan, store, inception, classifier)
    runner = Runner(setup, store, compute)
    for extractor in extractors:
        if extractor.is_inception:
            runner.extractor(extractor)  # a file that is refused is reported before hours of work
    every = cells(setup, extractors)
    found = found_cells(every, store)
    if isinstance(compute, ClusterCompute):
        failed = yield from _make_there(every, found, runner, compute, inception, classifier)
    else:
        failed = yield from make_cells(every, found, runner)
    lacking = {cell.competitor.name for cell in every if cell.address not in found}
    finished = [cell for cell in every if cell.kind == FEATURES and cell.competitor.name not in lacking]
    for event in make_distances(setup, extractors, runner, finished):
        yield Progress(1.0, 1.0, f"{event.note} {event.fraction:.0%}")
    if failed:
        error = next(iter(failed.values()))
        error.args = (" ".join([*map(str, failed.values()), "Everything else is finished and kept."]),)
        raise error
    return gather(setup, every, found, found_distances(setup, extractors, store), notes)


def found_bench(
    source: Source, plan: BenchPlan, *, store: Store | None = None, classifier: Path | None = None
) -> Bench:
    """What of a benchmark is finished, with `missing` telling the rest; nothing is computed.

    Distances are there once all of a model's cells are. Raises as `bench`, but for Inception's file.
    """
    store = store or default_store()
    setup = enter(source, plan, store)
    extractors, notes = find_extractors(source, plan, store, None, classifier)
    every = cells(setup, extractors)
    return gather(setup, every, found_cells(every, store), found_distances(setup, extractors, store), notes)


def found_cells(every: list[Cell], store: Store) -> dict[str, Artifact]:
    """The finished cells, by address."""
    found: dict[str, Artifact] = {}
    for cell in every:
        kept = None if cell.address in found else store.get(cell.store_kind, cell.key)
        if kept is not None:
            found[cell.address] = kept
    return found


def make_cells(
    every: list[Cell], found: dict[str, Artifact], runner: Runner
) -> Generator[Progress, None, dict[str, LocalityError]]:
    """Make the missing cells in order, keeping and telling each; models that failed, and why.

    Of a model that failed no more cells are tried. The reference's failure ends it all: the others are measured by it.
    """
    failed: dict[str, LocalityError] = {}
    single, missing, pace = _missing(every, found)
    while missing:
        cell = missing[0]
        expected, left = pace.expected(cell), pace.left(missing[1:])
        runner.unit = expected

        def in_seconds(event: Progress, expected: float = expected, left: float = left) -> Progress:
            seconds = expected * (1.0 - event.fraction) + left
            numbers = {"cells": pace.finished, "of": len(single), "seconds_left": seconds}
            spent = pace.spent + expected * event.fraction
            return Progress(spent, pace.spent + expected + left, event.note, numbers)

        try:
            made = yield from map_progress(runner.make(cell), in_seconds)
        except (NonFinite, TooLarge) as error:
            if cell.competitor.kind == REFERENCE:
                raise
            failed[cell.competitor.name] = error
            missing = [other for other in missing if other.competitor.name != cell.competitor.name]
            continue
        missing = missing[1:]
        yield _keep(cell, made, found, runner.store, pace, pace.left(missing), len(single))
    return failed


def _make_there(
    every: list[Cell],
    found: dict[str, Artifact],
    runner: Runner,
    compute: ClusterCompute,
    inception: Path | None,
    classifier: Path | None,
) -> Generator[Progress, None, dict[str, LocalityError]]:
    """The same on a cluster's workers."""
    failed: dict[str, LocalityError] = {}
    single, missing, pace = _missing(every, found)
    yield Progress(pace.spent, pace.spent + pace.left(missing), f"Cells to {len(compute.team.members)} workers")
    for cell, made in make_there(runner.setup, missing, runner.store, compute, inception, classifier):
        if isinstance(made, LocalityError):
            failed[cell.competitor.name] = made
            continue
        missing = [other for other in missing if other is not cell]
        left = pace.left(missing) / len(compute.team.members)
        yield _keep(cell, made, found, runner.store, pace, left, len(single))
    return failed


def _missing(every: list[Cell], found: dict[str, Artifact]) -> tuple[list[Cell], list[Cell], Pace]:
    """The first cell of each address; those that are to be made; the pace of the others."""
    single = list({cell.address: cell for cell in reversed(every)}.values())[::-1]
    pace, missing = Pace(), [cell for cell in single if cell.address not in found]
    for cell in single:
        if cell.address in found:
            pace.add(cell, float(found[cell.address].meta["seconds"]))
    return single, missing, pace


def _keep(
    cell: Cell, made: Artifact, found: dict[str, Artifact], store: Store, pace: Pace, left: float, of: int
) -> CellFinished:
    """Keep a cell and tell it; `left` seconds are expected for all others."""
    store.put(cell.store_kind, cell.key, made)
    found[cell.address] = made
    pace.add(cell, float(made.meta["seconds"]))
    return CellFinished(
        pace.spent,
        pace.spent + left,
        cell.label,
        {"cells": pace.finished, "of": of, "seconds_left": left},
        model=cell.competitor.name,
        kind=cell.kind,
        images=cell.images,
        address=cell.address,
    )
