"""What a step of an analytic model costs beside the network's own, and what it explains for it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

import torch

from locality.datasets import Source
from locality.device import Compute
from locality.store import Store, default_store
from locality.studies import BenchPlan, bench, finish
from locality.studies.benchmark import number
from locality.studies.benchmark.setup import enter
from locality.types import Denoiser

SETS = ("mnist", "fashion_mnist", "afhq_cats", "cifar10")
MODELS = ("wiener", "gaussian_mixture:groups=clusters", "patch_mixture", "prism", "stack")
SIGMAS, ROUNDS, BATCH, COUNT = (0.3, 1.0, 3.0), 3, 16, 128


@torch.no_grad()
def step_seconds(denoiser: Denoiser) -> float:
    """Of the processor, not of the clock, so that other work counts little: median over rounds and noise levels."""
    x0 = torch.randn(BATCH, denoiser.shape.d, generator=torch.Generator().manual_seed(0))
    spent = []
    for _ in range(ROUNDS + 1):  # the first round reads and compiles
        for sigma in SIGMAS:
            began = time.process_time()
            denoiser((1.0 + sigma**2) ** 0.5 * x0, sigma)
            spent.append(time.process_time() - began)
    return statistics.median(spent[len(SIGMAS) :])


def lines(source: Source, store: Store, count: int = COUNT) -> Iterator[str]:
    """The rows of one set; scores of finished cells, made where they are not there."""
    plan = BenchPlan(models=MODELS, count=count, features="none", ceiling="none")
    made, setup = finish(bench(source, plan, store=store)), enter(source, plan, store)
    seconds = {}
    for competitor in (setup.reference, *setup.competitors):
        if competitor.name in (made.reference, *MODELS) and competitor.model is not None:
            seconds[competitor.name] = step_seconds(finish(competitor.model.open(store=store, compute=Compute())))
    own = seconds[made.reference]
    for name, spent in sorted(seconds.items(), key=lambda item: item[1]):
        explained = "" if name == made.reference else number(made.summary(name, "r2_final"))
        ratio = number(made.summary(name, "denoise_ratio"))
        yield f"| {source.text} | `{name}` | {spent:.2g} | {spent / own:.2g} | {explained} | {ratio} |"


def run() -> None:
    """One table for all sets whose images are on this machine; one thread."""
    threads, store = torch.get_num_threads(), default_store()
    torch.set_num_threads(1)
    print(f"| set | model | a step of {BATCH}, s of the processor | / the network's | R2 final | error / Wiener |")
    print("|---|---|--:|--:|--:|--:|")
    for name in SETS:
        if (source := Source.parse(name)).available:
            print("\n".join(lines(source, store)), flush=True)
    torch.set_num_threads(threads)
