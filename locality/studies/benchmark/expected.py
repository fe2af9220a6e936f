"""What a benchmark will take here, before it begins: its missing calls by the laws of its models."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Generator

from locality.cluster.here import usual
from locality.datasets import Source
from locality.device import Compute
from locality.store import Store, default_store
from locality.studies.benchmark.cells import Cell, cells
from locality.studies.benchmark.competitors import Competitor, Setup
from locality.studies.benchmark.metrics import HELD_OUT, LEVELS, OWN, TRAJECTORY
from locality.studies.benchmark.plan import BenchPlan
from locality.studies.benchmark.setup import enter
from locality.studies.costs.expected import Expected, cost
from locality.studies.costs.law import law_of, pulse
from locality.work import Progress, map_progress


def expected_bench(
    source: Source, plan: BenchPlan, *, store: Store | None = None, compute: Compute | None = None
) -> Generator[Progress, None, dict[str, Expected]]:
    """Of every model that still has work to do, by name: drawing, estimates at given inputs, held-out errors.

    Left out is what takes little beside: nearest images, features, scores. Raises as `bench`, before any work.
    """
    store, compute = store or default_store(), compute or usual()
    setup = enter(source, plan, store)
    every = {cell.address: cell for cell in cells(setup, [])}.values()
    missing = [cell for cell in every if store.get(cell.store_kind, cell.key) is None]
    work: dict[Competitor, Counter[float]] = {}
    for cell in missing:
        if cell.competitor.model is not None and (calls := _calls(cell, setup)):
            work.setdefault(cell.competitor, Counter()).update(calls)
    found, laws = {}, {}
    for i, (one, images) in enumerate(work.items()):
        assert one.model is not None

        def told(event: Progress, i: int = i, name: str = one.name) -> Progress:
            return Progress(i + event.fraction, len(work), f"Timing {name}")

        laws[one] = yield from map_progress(law_of(one.model, 16, images, store=store, compute=compute), told)
    now = statistics.median(pulse() for _ in range(3))  # how busy it is when the work begins, not before the timing
    for one, images in work.items():
        law = laws[one]
        parts = [cost(law, [sigma], count, now) for sigma, count in images.items()]
        seconds = None if any(part.calls is None for part in parts) else sum(part.calls or 0.0 for part in parts)
        found[one.name] = Expected(parts[0].fit, seconds, parts[0].bytes)
    return found


def _calls(cell: Cell, setup: Setup) -> Counter[float]:
    """Noise level -> images denoised there."""
    steps = cell.competitor.sampling.sigmas()
    levels = {OWN: steps, TRAJECTORY: steps[1:], HELD_OUT: setup.plan.sigmas, LEVELS: setup.levels}.get(cell.kind, ())
    return Counter({sigma: len(cell.images) for sigma in levels})
