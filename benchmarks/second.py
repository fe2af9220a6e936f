"""Another second network beside a shipped leaderboard: only what depends on it is made, the rest stays as it is.

A leaderboard takes hours; of its numbers only those beside the second network's images change with it, and for these
every model's images are drawn again: ten steps instead of thirty-five evaluations. Their scores against the reference
must come out as they were shipped, or nothing is written.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

from locality.cli.parts.app import watch
from locality.cluster.here import usual
from locality.datasets import Source
from locality.errors import LocalityError
from locality.store import Store, default_store
from locality.studies import Bench, ship_bench, shipped_benches
from locality.studies.benchmark.cells import cells
from locality.studies.benchmark.competitors import SECOND
from locality.studies.benchmark.distances import found_distances, make_distances
from locality.studies.benchmark.extractors import find_extractors
from locality.studies.benchmark.gather import gather
from locality.studies.benchmark.metrics import BESIDE, FEATURES, OWN
from locality.studies.benchmark.result import Result
from locality.studies.benchmark.run import found_cells, make_cells
from locality.studies.benchmark.runner import Runner
from locality.studies.benchmark.setup import enter
from locality.work import Progress

CLOSE = 2e-3  # R2 of the same images drawn on another processor


def beside(shipped: Bench, second: str, store: Store) -> Generator[Progress, None, Bench]:
    """A leaderboard with another second network. Resumable, cell by cell. Raises as `bench`, and Changed."""
    source, compute = Source.parse(shipped.dataset), usual()
    setup = enter(source, replace(shipped.plan, ceiling=second), store)
    extractors, notes = find_extractors(source, setup.plan, store, None, None)
    runner = Runner(setup, store, compute)
    every = cells(setup, extractors)
    needed = [cell for cell in every if cell.competitor.kind == SECOND or cell.kind in (OWN, BESIDE)]
    found = found_cells(needed, store)
    failed = yield from make_cells(needed, found, runner)
    if failed:
        raise next(iter(failed.values()))
    features = [cell for cell in needed if cell.kind == FEATURES]
    yield from make_distances(setup, extractors, runner, features)
    made = gather(setup, needed, found, found_distances(setup, extractors, store), notes)
    return merged(shipped, made)


def merged(shipped: Bench, made: Bench) -> Bench:
    """The shipped scores with those beside the second network of `made`. Raises Changed."""
    kept = {result.name: result for result in shipped.results}
    results = [one if one.kind == SECOND else _with_second(kept[one.name], one) for one in made.results]
    own = [row for row in made.distances if row["model"] == made.second]
    others = [row for row in shipped.distances if row["model"] != shipped.second]
    facts = {**shipped.facts, "command": made.facts["command"]}
    return replace(made, results=tuple(results), distances=(*others, *own), facts=facts, missing=())


class Changed(LocalityError):
    """A model's images are not those of the shipped table."""


def _with_second(kept: Result, one: Result) -> Result:
    ours, theirs = kept.of("r2_own"), one.of("r2_own")
    apart = float((ours - theirs).abs().max()) if theirs.numel() else 0.0
    print(f"{kept.name}: R2 of the same images within {apart:.1e} of the shipped ones", flush=True)
    if not apart <= CLOSE:
        raise Changed(
            f"{kept.name}: R2 differs by {apart:.2g} from the shipped table's, more than processors do ({CLOSE:g}). "
            "Make the whole table again: python -m locality bench."
        )
    scores, have = dict(kept.scores), dict(kept.have)
    scores.pop("r2_second", None)
    if one.of("r2_second").numel():
        scores["r2_second"], have[BESIDE] = one.scores["r2_second"], one.have[BESIDE]
    return replace(kept, scores=scores, have=have, notes=one.notes)


def main(words: list[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.second", description=__doc__.split("\n")[0])
    parser.add_argument("dataset")
    parser.add_argument("second", help="a network's name, or its folder")
    parser.add_argument("--out", type=Path, required=True, help="folder of shipped results")
    asked = parser.parse_args(words)
    try:
        shipped = next(one for one in shipped_benches() if one.dataset == asked.dataset and not one.plan.presets)
        made = watch(beside(shipped, asked.second, default_store()))
        print(f"Written: {ship_bench(Source.parse(made.dataset), made, asked.out)}")
    except LocalityError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("Stopped. Every finished cell is kept: run the same command to go on.")


if __name__ == "__main__":
    main()
