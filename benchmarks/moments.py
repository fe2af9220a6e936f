"""R2 final of every model against one network while it trains: does the order of models move with the images seen?

The moments that a training kept (`--moments`) are the references, one after another. A model's images, from the same
noise, do not depend on the reference: they are drawn once, or read where a leaderboard drew them.
"""

from __future__ import annotations

import argparse
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

from benchmarks.boards import interval, ranks, shipped_boards
from benchmarks.leaderboards import told
from benchmarks.tables import pm, table
from locality.cli.parts.app import watch
from locality.cluster.here import usual
from locality.datasets import Source
from locality.errors import BadInput
from locality.networks.training.moments import read_moments
from locality.store import Store, default_store
from locality.studies import Bench, BenchPlan
from locality.studies.benchmark.cells import cells
from locality.studies.benchmark.competitors import ANALYTIC, REFERENCE, WIENER
from locality.studies.benchmark.gather import gather
from locality.studies.benchmark.metrics import HELD_OUT, OWN
from locality.studies.benchmark.plan import NONE
from locality.studies.benchmark.run import found_cells, make_cells
from locality.studies.benchmark.runner import Runner
from locality.studies.benchmark.setup import enter
from locality.work import Progress

BEST, FINAL = "prism", "r2_final"


def against_moments(
    source: Source, plan: BenchPlan, folder: Path, store: Store
) -> Generator[Progress, None, dict[int, Bench]]:
    """The scores of every model's images by the images that the network had seen. Resumable, cell by cell.

    Raises as `enter`, BadInput where no moments are kept.
    """
    moments = read_moments(folder)
    if not moments:
        raise BadInput(f"{folder} keeps no moments: train with --moments 12.")
    made: dict[int, Bench] = {}
    for seen, path in moments.items():
        setup = enter(source, replace(plan, reference=str(path), ceiling=NONE, features=NONE), store)
        runner = Runner(setup, store, usual())
        judged = {WIENER, setup.reference.name}  # by them the network's own error is told
        every = [c for c in cells(setup, ()) if c.kind == OWN or (c.kind == HELD_OUT and c.competitor.name in judged)]
        found = found_cells(every, store)
        failed = yield from make_cells(every, found, runner)
        if failed:
            raise next(iter(failed.values()))
        made[seen] = gather(setup, every, found, ())
    return made


def turned(made: Bench, last: Bench) -> tuple[int, int]:
    """Pairs of models that are told apart in both; and those of them that stand the other way round."""
    names = [one.name for one in last.results if one.kind == ANALYTIC]
    apart = other = 0
    for pair in combinations(names, 2):
        now, then = made.difference(*pair, FINAL), last.difference(*pair, FINAL)
        if min(now.low * now.high, then.low * then.high) > 0.0:
            apart += 1
            other += now.mean * then.mean < 0.0
    return apart, other


def lines(made: Mapping[int, Bench]) -> Iterator[str]:
    """A row a model, by its R2 final at the end; a column a moment."""
    last = made[max(made)]
    models = list(ranks(last, FINAL))
    networks = [next(one.name for one in bench.results if one.kind == REFERENCE) for bench in made.values()]
    errors = [bench.summary(name, "denoise_ratio") for bench, name in zip(made.values(), networks, strict=True)]
    rows: list[list[str]] = [["the network's error / Wiener", *(pm(one.mean, one.stderr) for one in errors)]]
    for name in models:
        found = [bench.summary(name, FINAL) for bench in made.values()]
        rows.append([f"`{name}`", *(pm(one.mean, one.stderr) for one in found)])
    for a, b in combinations(dict.fromkeys(name for name in (models[0], BEST, WIENER) if name in models), 2):
        rows.append([f"`{a}` over `{b}`", *(interval(bench.difference(a, b, FINAL)) for bench in made.values())])
    rows.append(["the first over the next", *map(_first, made.values())])
    pairs = [turned(bench, last) for bench in made.values()]
    rows.append(["pairs the other way round than at the end", *(f"{other} of {apart}" for apart, other in pairs)])
    yield from table(["images seen", *(f"{seen:,}" for seen in made)], rows)


def _first(bench: Bench) -> str:
    """By how much the first model is above the next."""
    first, following, *_ = ranks(bench, FINAL)  # in their order
    return f"`{first}` over `{following}` {interval(bench.difference(first, following, FINAL))}"


def main(words: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.moments", description=__doc__.split("\n")[0])
    parser.add_argument("dataset")
    parser.add_argument("folder", type=Path, help="of a training with --moments")
    parser.add_argument("--without", action="append", default=[], help="a model left out; again for more")
    asked = parser.parse_args(words)
    with told():
        source = Source.parse(asked.dataset)
        boards = shipped_boards()
        plan = boards[source.text].plan if source.text in boards else BenchPlan()
        plan = replace(plan, models=tuple(model for model in plan.models if model not in asked.without))
        print("\n".join(lines(watch(against_moments(source, plan, asked.folder, default_store())))))


if __name__ == "__main__":
    main()
