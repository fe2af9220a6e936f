"""Every leaderboard and ablation again from the images: the hours it takes first, then cell by cell.

Resumable: a finished cell (a model, 16 images) is kept, so that the same command goes on after Ctrl-C or a kill.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import shipped
from locality.cli.parts.app import duration, watch
from locality.datasets import Source
from locality.errors import BadInput, LocalityError
from locality.store import default_store
from locality.studies import (
    PRESETS,
    Bench,
    BenchPlan,
    bench,
    expected_bench,
    find_network,
    ship_bench,
    shipped_benches,
)
from locality.studies.alike import TWIN, twin_command
from locality.studies.benchmark.gather import bench_command
from locality.studies.benchmark.presets import PAPER
from locality.studies.benchmark.ship import bench_name

SETS = ("mnist", "fashion_mnist", "cifar10", "afhq_cats")
MODELS = (
    "mean",
    "optimal",
    "nearest",
    "smoothed",
    "gaussian_mixture",  # with labels; beside it the same without
    "gaussian_mixture:groups=clusters",
    "patch_mixture",
    "stack",
    "prism",
    "ls",
    "golddiff",
    "pca_locality",
    "pca_locality:mask_rule=code",
    "pspc_square",
    "pspc_flex",
)
SECOND = f"unet{TWIN}"  # the same training as the reference, from another seed
# Rows that the shipped tables do not have, and what stands there for them: their hours were not spent yet.
APART = {"mnist": {"pspc_square": "pspc_square@first=1000"}}
COUNT = 128
ABLATED, FEW, IMAGES = "fashion_mnist", 1000, 64  # of the ablations

Table = tuple[Source, BenchPlan]


def tables(names: list[str]) -> Iterator[Table]:
    """The leaderboard of every set, full training sets, and the ablations of one."""
    for name in names:
        source = Source.parse(name)
        models = tuple(text for text in MODELS if text != "gaussian_mixture" or _labelled(source))
        yield source, BenchPlan(models=models, count=COUNT, ceiling=_second(source))
    if ABLATED in names:
        for preset in PRESETS:
            if preset != PAPER:
                plan = BenchPlan(presets=(preset,), count=IMAGES, ceiling=_second(Source.parse(ABLATED)))
                yield Source.parse(ABLATED, FEW), plan


def _labelled(source: Source) -> bool:
    return source.train.labels is not None


def _second(source: Source) -> str:
    """The second UNet where it is trained; else the best of the other networks, which is said."""
    return SECOND if is_here(source, SECOND) else BenchPlan().ceiling


def is_here(source: Source, network: str) -> bool:
    """Whether a network of that name, or folder, can be asked."""
    try:
        find_network(source, network)
    except BadInput:
        return False
    return True


def tell_hours(made: list[Table]) -> None:
    """What every table takes here, by timing each of its models for about a second."""
    total = 0.0
    for source, plan in made:
        found = watch(expected_bench(source, plan))
        seconds = sum(one.seconds for one in found.values())
        total += seconds
        slowest = sorted(found.items(), key=lambda item: -item[1].seconds)[:3]
        most = ", ".join(f"{name} {duration(one.seconds)}" for name, one in slowest if one.seconds >= 60)
        print(f"{_title(source, plan)}: about {duration(seconds)}{f' ({most})' if most else ''}", flush=True)
        if plan.ceiling != SECOND:
            made_by = twin_command(source, find_network(source, plan.reference))
            print(f"  no {SECOND} is trained, the best other network stands in. It is made by: {made_by}")
        for model, stands in ({} if plan.presets else APART.get(source.text, {})).items():
            print(f"  {model} is not in the shipped table; in its place: {stands}")
    print(f"About {duration(total)} in all; every finished cell is kept.", flush=True)


def _title(source: Source, plan: BenchPlan) -> str:
    return f"{source.text}{f', {plan.presets[0]}' if plan.presets else ''}"


def made_again(source: Source, plan: BenchPlan, out: Path | None) -> Bench:
    """A table, its missing cells made, written to a folder of shipped results."""
    found = watch(bench(source, plan))
    print(f"Written: {ship_bench(source, found, out or place_of(source, found))}", flush=True)
    return found


def place_of(source: Source, made: Bench) -> Path:
    """Over the shipped table where both have the same second network, else beside: one is not lost to the other."""
    store, name = default_store(), bench_name(source, made.plan)
    assert store.shipped_root is not None
    same = [one for one in shipped_benches() if bench_name(Source.parse(one.dataset, source.first), one.plan) == name]
    return store.shipped_root if all(one.second == made.second for one in same) else store.local / "leaderboards"


@contextmanager
def told() -> Iterator[None]:
    """What stops a command that makes cells ends it with one line."""
    try:
        yield
    except LocalityError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("Stopped. Every finished cell is kept: run the same command to go on.")


def main(words: list[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.leaderboards", description=__doc__.split("\n")[0])
    parser.add_argument("datasets", nargs="*", metavar="DATASET", help=f"some of {', '.join(SETS)}; all without any")
    parser.add_argument("--hours", action="store_true", help="say what it takes, and make nothing")
    usual = "cache/shipped, and cache/local/leaderboards for a table with another second network than the shipped one"
    parser.add_argument("--out", type=Path, help=f"folder of shipped results (default: {usual})")
    asked = parser.parse_args(words)
    if unknown := set(asked.datasets) - set(SETS):
        parser.error(f"no leaderboard of {', '.join(sorted(unknown))}. There are: {', '.join(SETS)}.")
    with told():
        made = list(tables(asked.datasets or list(SETS)))
        tell_hours(made)
        for source, plan in [] if asked.hours else made:
            print(f"\n{bench_command(source, plan)}", flush=True)
            found = made_again(source, plan, asked.out)
            if not plan.presets:
                shipped.board(found)


if __name__ == "__main__":
    main()
