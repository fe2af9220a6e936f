"""A step of training against the matrix products it is made of: the defaults and the recipe of the shipped networks."""

from __future__ import annotations

from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.timing import alternate_ms, median_ms
from locality.dataset import Dataset
from locality.networks import NETWORKS, Training, TrainSpec
from locality.types import ImageShape

SHAPE = ImageShape(3, 32, 32)
PLAIN = ("unet", TrainSpec())
RECIPE = ("unet", TrainSpec(batch=32, optimiser="muon", schedule="inverse_sqrt"))


def run() -> None:
    """Print the table; images of 32 x 32 pixels in colour, made of noise."""
    trainings = [_training(*PLAIN), _training(*RECIPE)]
    times = alternate_ms(*(lambda made=made: made._step(0.0) for made in trainings), repeats=5)
    peak = _peak()
    print(f"matrix product of side 1024 in the precision of the training: {peak:,.0f} GFLOP/s\n")
    print(
        "| network | parameters | GFLOP an image | images/s | limit by products | reached |\n|---|--:|--:|--:|--:|--:|"
    )
    for (name, train), made, ms in zip((PLAIN, RECIPE), trainings, times, strict=True):
        speed, work = 1e3 * train.batch / ms, _gflop(made)
        count = sum(p.numel() for p in made.net.parameters())
        words = f"`{name}`, {train.optimiser}, batch {train.batch}"
        print(f"| {words} | {count:,} | {work:.2f} | {speed:,.0f} | {peak / work:,.0f} | {speed * work / peak:.0%} |")


def _training(network: str, train: TrainSpec) -> Training:
    noise = torch.randint(256, (512, SHAPE.d), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return Training(Dataset("noise", "train", SHAPE, noise), NETWORKS.parse(network), train, Path())


def _gflop(made: Training) -> float:
    """Multiplications and additions of convolutions and matrix products, forward and back, for one image."""
    with FlopCounterMode(display=False) as counter:
        made.net(torch.zeros(1, *SHAPE), torch.zeros(1)).sum().backward()
    return counter.get_total_flops() / 1e9


def _peak(side: int = 1024) -> float:
    a, b = torch.randn(2, side, side).to(torch.bfloat16 if _training(*PLAIN).bfloat16 else torch.float32)
    return 2 * side**3 / median_ms(lambda: a @ b) / 1e6
