"""What a step of an analytic model costs beside the network's own, and what it explains for it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace

import torch

from benchmarks.boards import shipped_boards
from locality.datasets import Source
from locality.device import Compute
from locality.store import Store, default_store
from locality.studies import Bench, finish
from locality.studies.benchmark import number
from locality.studies.benchmark.plan import NONE
from locality.studies.benchmark.setup import enter
from locality.types import Denoiser

SETS = ("mnist", "fashion_mnist", "afhq_cats", "cifar10")
MODELS = ("wiener", "gaussian_mixture:groups=clusters", "patch_mixture", "prism", "stack", "ls")
SIGMAS, ROUNDS, BATCH = (0.3, 1.0, 3.0), 3, 16


@torch.no_grad()
def step_seconds(denoisers: Mapping[str, Denoiser]) -> dict[str, float]:
    """A step of each, taken in turns, so that all meet the same machine: medians over rounds and noise levels.

    Seconds of the processor, not of the clock, so that other work counts little.
    """
    spent: dict[str, list[float]] = {name: [] for name in denoisers}
    for turn in range(ROUNDS + 1):  # the first one reads and compiles
        for sigma in SIGMAS:
            for name, denoiser in denoisers.items():
                x0 = torch.randn(BATCH, denoiser.shape.d, generator=torch.Generator().manual_seed(0))
                began = time.process_time()
                denoiser((1.0 + sigma**2) ** 0.5 * x0, sigma)
                if turn:
                    spent[name].append(time.process_time() - began)
    return {name: statistics.median(each) for name, each in spent.items()}


def lines(source: Source, made: Bench, store: Store) -> Iterator[str]:
    """The rows of one set, with the scores of its leaderboard."""
    names = tuple(name for name in MODELS if name in made.names)
    setup = enter(source, replace(made.plan, models=names, ceiling=NONE, features=NONE), store)
    taking_part = [one for one in (setup.reference, *setup.competitors) if one.name in (made.reference, *names)]
    opened = {
        one.name: finish(one.model.open(store=store, compute=Compute())) for one in taking_part if one.model is not None
    }
    seconds = step_seconds(opened)
    own = seconds[made.reference]
    for name, spent in sorted(seconds.items(), key=lambda item: item[1]):
        explained = "" if name == made.reference else number(made.summary(name, "r2_final"))
        ratio = number(made.summary(name, "denoise_ratio"))
        yield f"| {source.text} | `{name}` | {spent:.2g} | {spent / own:.2g} | {explained} | {ratio} |"


def run() -> None:
    """One table for all shipped leaderboards whose images are on this machine; one thread."""
    threads, store = torch.get_num_threads(), default_store()
    torch.set_num_threads(1)
    print(f"| set | model | a step of {BATCH}, s of the processor | / the network's | R2 final | error / Wiener |")
    print("|---|---|--:|--:|--:|--:|")
    boards = shipped_boards()
    for name in SETS:
        if name in boards and (source := Source.parse(name)).available:
            print("\n".join(lines(source, boards[name], store)), flush=True)
    torch.set_num_threads(threads)
