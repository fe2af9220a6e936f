"""Every leaderboard and ablation again from the images: the hours it takes first, then cell by cell.

Resumable: a finished cell (a model, 16 images) is kept, so that the same command goes on after Ctrl-C or a kill.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks import shipped
from locality.cli.parts.app import duration, watch
from locality.datasets import Source
from locality.errors import LocalityError, UnknownName
from locality.studies import PRESETS, Bench, BenchPlan, bench, expected_bench, find_network, ship_bench
from locality.studies.benchmark.gather import bench_command
from locality.studies.benchmark.presets import PAPER

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
SECOND = "unet-b"  # the same training as the reference, from another seed
COUNT = 128
ABLATED, FEW, IMAGES = "fashion_mnist", 1000, 64  # of the ablations
OUT = Path(__file__).parents[1] / "cache" / "shipped"

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
    try:
        find_network(source, SECOND)
    except UnknownName:
        return BenchPlan().ceiling
    return SECOND


def _training(source: Source) -> str:
    """The reference's own training, from another seed."""
    made = find_network(source, BenchPlan().reference).manifest["command"]
    return f"{made.replace(f'{source.slug}-unet', f'{source.slug}-{SECOND}')} --option seed=1"


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
            print(f"  no {SECOND} is trained, the best other network stands in. It is made by: {_training(source)}")
    print(f"About {duration(total)} in all; every finished cell is kept.", flush=True)


def _title(source: Source, plan: BenchPlan) -> str:
    return f"{source.text}{f', {plan.presets[0]}' if plan.presets else ''}"


def made_again(source: Source, plan: BenchPlan, out: Path) -> Bench:
    """A table, its missing cells made, written to a folder of shipped results."""
    found = watch(bench(source, plan))
    ship_bench(source, found, out)
    return found


def main(words: list[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.leaderboards", description=__doc__.split("\n")[0])
    parser.add_argument("datasets", nargs="*", metavar="DATASET", help=f"some of {', '.join(SETS)}; all without any")
    parser.add_argument("--hours", action="store_true", help="say what it takes, and make nothing")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of shipped results (default: cache/shipped)")
    asked = parser.parse_args(words)
    if unknown := set(asked.datasets) - set(SETS):
        parser.error(f"no leaderboard of {', '.join(sorted(unknown))}. There are: {', '.join(SETS)}.")
    try:
        made = list(tables(asked.datasets or list(SETS)))
        tell_hours(made)
        for source, plan in [] if asked.hours else made:
            print(f"\n{bench_command(source, plan)}", flush=True)
            found = made_again(source, plan, asked.out)
            if not plan.presets:
                shipped.board(found)
    except LocalityError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("Stopped. Every finished cell is kept: run the same command to go on.")


if __name__ == "__main__":
    main()
