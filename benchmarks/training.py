"""A step of training against the matrix products it is made of: as it was, the defaults, and the shipped recipe."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from locality.dataset import Dataset
from locality.heap import keep_freed
from locality.networks import NETWORKS, Training, TrainSpec
from locality.types import ImageShape

SHAPE, WIDE = ImageShape(3, 32, 32), "unet:channels=64-64-96"
RECIPE = TrainSpec(batch=32, optimiser="muon", schedule="inverse_sqrt", ema=0.09)
ROUNDS, STEPS = 3, 3  # in turns, so that all see the same load of the machine


class _Direct(Training):
    """With PyTorch's convolutions, in its usual order of values."""

    def _fresh(self) -> torch.nn.Module:
        return self.spec.fresh(self.dataset.shape, self.train.seed)


class _Together(Training):
    """With all cores at each layer."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._apart = False


class _Before(_Direct):
    """The step of the first release: one small operation for every tensor of optimiser and average."""

    def _optimiser_of(self, net: torch.nn.Module) -> torch.optim.Optimizer:
        return torch.optim.AdamW(net.parameters(), lr=self.train.rate, betas=(0.9, 0.99), foreach=False)

    @torch.no_grad()
    def _average(self) -> None:
        for name, tensor in self.net.state_dict().items():
            self.ema[name].lerp_(tensor.float(), 0.01)


def run() -> None:
    """Print the tables, on one thread and on all; noise of 32 x 32 pixels in colour for images."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    rows = {
        "as it was: adamw, batch 64": _training(_Before, "unet", TrainSpec()),
        "defaults: adamw, batch 64": _training(Training, "unet", TrainSpec()),
        "muon, batch 32": _training(Training, "unet", RECIPE),
        f"the recipe: muon, batch 32, `{WIDE}`": _training(Training, WIDE, RECIPE),
        "the recipe, direct convolutions": _training(_Direct, WIDE, RECIPE),
        "`resnet`, muon, batch 32": _training(Training, "resnet", RECIPE),
        "`resnet`, direct convolutions": _training(_Direct, "resnet", RECIPE),
    }
    speeds: dict[str, list[float]] = {name: [] for name in rows}
    peaks = []
    for _ in range(ROUNDS):
        peaks.append(_peak(rows["muon, batch 32"].bfloat16))
        for name, made in rows.items():
            speeds[name].append(_speed(made))
    peak = statistics.median(peaks)
    print(f"a matrix product of side 1024 in the precision of the training: {peak:,.0f} GFLOP/s\n")
    print("| step | GFLOP an image | images/s | to the first | share of the product's speed |\n|---|--:|--:|--:|--:|")
    first = statistics.median(next(iter(speeds.values())))
    for name, made in rows.items():
        speed, work = statistics.median(speeds[name]), _gflop(made)
        print(f"| {name} | {work:.2f} | {speed:,.0f} | {speed / first:.2f} | {speed * work / peak:.0%} |")
    torch.set_num_threads(threads)
    if threads > 1:
        _cores(threads)


def _cores(threads: int) -> None:
    """Print the table of all cores, each of which takes images of the batch, or all are at each layer."""
    keep_freed(one_heap=True)  # as commands do
    networks = {f"unet, `{WIDE}`": WIDE, "`unet`": "unet", "`resnet`": "resnet", "`dit`": "dit"}
    print(f"\nMuon, batch 32, {threads} threads, images/s by the clock\n")
    print(
        "| network | one core | all at each layer | each its images | to one core | to all |\n|---|--:|--:|--:|--:|--:|"
    )
    for name, text in networks.items():
        one, layers = (_training(kind, text, replace(RECIPE, bfloat16=False)) for kind in (Training, _Together))
        speeds: dict[str, list[float]] = {"one": [], "layers": [], "images": []}
        for _ in range(ROUNDS):
            for kind, made, many in (("one", one, 1), ("layers", layers, threads), ("images", one, threads)):
                torch.set_num_threads(many)
                speeds[kind].append(_speed(made, time.perf_counter))
        alone, together, apart = (statistics.median(found) for found in speeds.values())
        ratios = f"{apart / alone:.2f} | {apart / together:.2f}"
        print(f"| {name} | {alone:,.0f} | {together:,.0f} | {apart:,.0f} | {ratios} |", flush=True)
    torch.set_num_threads(threads)


def _training(kind: type[Training], network: str, train: TrainSpec) -> Training:
    noise = torch.randint(256, (512, SHAPE.d), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    made = kind(Dataset("noise", "train", SHAPE, noise), NETWORKS.parse(network), train, Path())
    made._step(0.0)  # the first one allocates
    return made


def _speed(made: Training, clock: Callable[[], float] = time.process_time) -> float:
    """Images a second over a few steps, by the time of the processor or by the clock."""
    began = clock()
    for _ in range(STEPS):
        made._step(0.0)
    return STEPS * made.train.batch / (clock() - began)


def _gflop(made: Training) -> float:
    """Those of direct convolutions and matrix products, forward and back, for one image."""
    net = made.spec.fresh(SHAPE, 0)
    with FlopCounterMode(display=False) as counter:
        net(torch.zeros(1, *SHAPE), torch.zeros(1)).sum().backward()
    return counter.get_total_flops() / 1e9


def _peak(bfloat16: bool, side: int = 1024, repeats: int = 20) -> float:
    """Multiplications and additions a nanosecond in large products, by the time of the processor."""
    a, b = torch.randn(2, side, side).to(torch.bfloat16 if bfloat16 else torch.float32)
    a @ b
    began = time.process_time()
    for _ in range(repeats):
        a @ b
    return repeats * 2 * side**3 / (time.process_time() - began) / 1e9
