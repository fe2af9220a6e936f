"""What a model is said to take before it draws, against what it takes then: 16 images, ten steps.

    python -m benchmarks.expected fashion_mnist --model pca_locality:first=10000 golddiff:first=10000

Fits are made before and read by both sides. Times are processor-seconds of one thread, which say what work costs
also where other processes run; memory is what comes on top of what the process holds before it opens the model.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from unittest.mock import patch

import torch

from locality.datasets import Source
from locality.device import Compute, threads
from locality.errors import LocalityError
from locality.memory import PeakMemory
from locality.sampler import ddim, initial, start_noise
from locality.store import default_store
from locality.studies import Sampling, find_model, finish
from locality.studies.costs import law
from locality.studies.costs.expected import sampling_cost

AVERAGING = ["optimal", "nearest", "smoothed", "ls", "pspc_square", "pspc_flex", "golddiff", "pca_locality"]
MODELS = ["wiener", *(f"{name}:first=10000" for name in AVERAGING), "els:first=100", "bbels:first=100"]
MODELS += ["gaussian_mixture", "gaussian_mixture:groups=clusters", "patch_mixture", "stack", "prism", "unet"]


def run(dataset: str = "fashion_mnist", models: list[str] = MODELS) -> None:
    """Print the table. Needs the images of the dataset."""
    print(
        f"| {dataset}, 16 images, ten steps | fit, expected s | real | steps, expected s | real | expected / real |",
        end="",
    )
    print(" memory, expected MB | real | expected / real | finding out, s |")
    print(f"|---|{'--:|' * 9}")
    with _processor_seconds():
        for text in models:
            try:
                print(_row(Source.parse(dataset), text, Sampling(count=16, steps=10)), flush=True)
            except LocalityError as error:
                print(f"| {text} | {error} | | | | | | | | |", flush=True)


@contextmanager
def _processor_seconds() -> Iterator[None]:
    """One thread, and a clock that other processes do not move."""
    with threads(1), patch.object(law, "time", SimpleNamespace(perf_counter=time.process_time)):
        yield


@torch.no_grad()
def _row(source: Source, text: str, sampling: Sampling) -> str:
    store, compute, levels = default_store(), Compute(), sampling.sigmas()
    model = find_model(source, text, store=store)
    finish(model.open(store=store, compute=compute))
    asked = time.process_time()
    made = finish(law.measured(model, sampling.count, tuple(levels), store, compute))
    asked = time.process_time() - asked
    said = sampling_cost(made, sampling, levels, source.shape.d, law.pulse())
    peak = PeakMemory()
    held, began = peak.start() or 0, time.process_time()
    denoiser = finish(model.open(store=store, compute=compute))
    ready = time.process_time()
    x = initial(start_noise(source.shape, sampling.count, 1), levels[0], sampling.start)
    list(ddim(denoiser, x, levels, clip=sampling.clip))  # as a sampling keeps its trajectory
    fit, steps, taken = ready - began, time.process_time() - ready, (peak.read() or 0) - held
    calls = said.calls or 0.0
    memory = f"{(said.bytes or 0) / 1e6:,.0f} | {taken / 1e6:,.0f} | {(said.bytes or 0) / max(taken, 1):.2f}"
    times = f"{said.fit:.2f} | {fit:.2f} | {calls:.3f} | {steps:.3f} | {calls / steps:.2f}"
    return f"| {text} | {times} | {memory} | {asked:.1f} |"


def main() -> None:
    """Options of one's own."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.expected", description=__doc__)
    options.add_argument("dataset", nargs="?", default="fashion_mnist")
    options.add_argument("--model", nargs="+", default=MODELS)
    chosen = options.parse_args()
    run(chosen.dataset, chosen.model)


if __name__ == "__main__":
    main()
