"""A shipped leaderboard with another second network, or with other models: only what is new is made.

A leaderboard takes hours. Of its numbers only those beside the second network's images change with that network, and
for these every model's images are drawn again: ten steps instead of thirty-five evaluations. Their scores against the
reference must come out as they were shipped, or nothing is written. New models are measured in full; the others stay.
"""

from __future__ import annotations

import argparse
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.boards import shipped_boards
from benchmarks.leaderboards import is_here, told
from locality.cli.parts.app import watch
from locality.cluster.here import usual
from locality.datasets import Source
from locality.errors import LocalityError, UnknownName
from locality.store import Store, default_store
from locality.studies import Bench, BenchPlan, ship_bench
from locality.studies.benchmark.cells import cells
from locality.studies.benchmark.competitors import REFERENCE, SECOND
from locality.studies.benchmark.distances import found_distances, make_distances
from locality.studies.benchmark.extractors import find_extractors
from locality.studies.benchmark.gather import bench_command, gather
from locality.studies.benchmark.metrics import BESIDE, FEATURES, OWN
from locality.studies.benchmark.plan import AUTO, NONE
from locality.studies.benchmark.result import Result
from locality.studies.benchmark.run import found_cells, make_cells
from locality.studies.benchmark.runner import Runner
from locality.studies.benchmark.setup import enter
from locality.work import Progress

# Of the standard error, how far the mean R2 at any step may be off: near ties between training images fall to the other
# side on another processor, and a few images with them.
CLOSE = 0.1


class Changed(LocalityError):
    """A model's images are not those of the shipped table."""


def extended(shipped: Bench, plan: BenchPlan, store: Store) -> Generator[Progress, None, Bench]:
    """A leaderboard by another plan of the same count, steps and noise. Resumable, cell by cell.

    Where the shipped second network is no longer there its row stays, and new models have no score beside it.

    Raises as `bench`, and Changed.
    """
    source = Source.parse(shipped.dataset)
    same = plan.ceiling == shipped.plan.ceiling
    lost = same and plan.ceiling not in (AUTO, NONE) and not is_here(source, plan.ceiling)
    setup = enter(source, replace(plan, ceiling=NONE) if lost else plan, store)
    extractors, notes = find_extractors(source, plan, store, None, None)
    runner = Runner(setup, store, usual())
    second = next((one.name for one in setup.competitors if one.kind == SECOND), None)
    new = {one.name for one in setup.everyone} - {one.name for one in shipped.results if one.kind != SECOND}
    if second == shipped.second:
        new -= {second}
    drawn = () if lost or second == shipped.second else (OWN, BESIDE)
    every = cells(setup, extractors)
    needed = [cell for cell in every if cell.competitor.name in new or cell.kind in drawn]
    found = found_cells(needed, store)
    failed = yield from make_cells(needed, found, runner)
    if failed:
        raise next(iter(failed.values()))
    features = [cell for cell in needed if cell.kind == FEATURES and cell.competitor.name in new]
    yield from make_distances(setup, extractors, runner, features)
    made = merged(shipped, gather(setup, needed, found, found_distances(setup, extractors, store), notes), new)
    return _with_lost(made, shipped, plan, new) if lost else made


def _with_lost(made: Bench, shipped: Bench, plan: BenchPlan, new: set[str]) -> Bench:
    """With the shipped second network's row in its place, which is the last before the control."""
    *results, control = made.results
    results += [one for one in shipped.results if one.kind == SECOND]
    note = f"{', '.join(sorted(new))}: measured when {shipped.second} was no longer there, so not beside it."
    rows = [row for row in shipped.distances if row["model"] == shipped.second]
    return replace(
        made,
        plan=plan,
        second=shipped.second,
        results=(*results, control),
        distances=(*made.distances, *rows),
        notes=(*made.notes, note),
        facts={**made.facts, "command": bench_command(Source.parse(shipped.dataset), plan)},
    )


def merged(shipped: Bench, made: Bench, new: set[str]) -> Bench:
    """The shipped scores with those of `made`: all of the new models, the others' beside the second network.

    Raises Changed.
    """
    kept = {result.name: result for result in shipped.results}
    results = tuple(one if one.name in new else _with_second(kept[one.name], one) for one in made.results)
    distances = [row for row in made.distances if row["model"] in new]
    distances += [row for row in shipped.distances if row["model"] in {one.name for one in results} - new]
    facts = {**shipped.facts, "command": made.facts["command"]}
    return replace(made, results=results, distances=tuple(distances), facts=facts, missing=())


def _with_second(kept: Result, one: Result) -> Result:
    """Scores as shipped, but for those beside another second network, where its images were drawn again, and timed."""
    ours, theirs = kept.of("r2_own"), one.of("r2_own")
    if not theirs.numel():
        return replace(kept, notes=one.notes)
    if kept.kind != REFERENCE:
        stderr = theirs.std(dim=1) / theirs.shape[1] ** 0.5
        off = float(((ours - theirs).mean(dim=1).abs() / stderr).max())
        apart = float((ours - theirs).abs().max())
        print(
            f"{kept.name}: mean R2 within {off:.1e} of its error at every step, of each image {apart:.1e}", flush=True
        )
        if not off <= CLOSE:
            raise Changed(
                f"{kept.name}: mean R2 is off the shipped table's by {off:.2g} of its standard error, more than near "
                f"ties explain ({CLOSE:g}). Make the whole table again: make leaderboards."
            )
    scores, have = dict(kept.scores), dict(kept.have)
    scores.pop("r2_second", None)
    if one.of("r2_second").numel():
        scores["r2_second"], have[BESIDE] = one.scores["r2_second"], one.have[BESIDE]
    return replace(kept, scores=scores, have=have, notes=one.notes, facts=one.facts)


def main(words: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.extended", description=__doc__.split("\n")[0])
    parser.add_argument("dataset")
    parser.add_argument("--second", help="a network's name, or its folder (default: as shipped)")
    parser.add_argument("--model", action="append", default=[], help="measured too; again for more")
    parser.add_argument("--without", action="append", default=[], help="left out; again for more")
    parser.add_argument("--out", type=Path, required=True, help="folder of shipped results")
    asked = parser.parse_args(words)
    with told():
        boards = shipped_boards()
        if asked.dataset not in boards:
            raise UnknownName("shipped leaderboard", asked.dataset, boards)
        shipped = boards[asked.dataset]
        models = [model for model in shipped.plan.models if model not in asked.without]
        models += [model for model in asked.model if model not in models]
        plan = replace(shipped.plan, models=tuple(models), ceiling=asked.second or shipped.plan.ceiling)
        made = watch(extended(shipped, plan, default_store()))
        print(f"Written: {ship_bench(Source.parse(made.dataset), made, asked.out)}")


if __name__ == "__main__":
    main()
