"""Exact covariance of CIFAR-10 against a plain float32 product, its peak memory, and decompositions of three sets."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from benchmarks.timing import alternate_ms
from locality.dataset import Dataset, InMemory
from locality.datasets import Source
from locality.device import Compute
from locality.linear.moments import estimate_moments
from locality.linear.statistics import fit_filter
from locality.memory import PeakMemory
from locality.store import Store
from locality.studies import finish
from locality.types import ImageShape

_PEAK = """
import torch
from locality.memory import peak_memory
from locality.datasets import Source
from locality.linear.moments import estimate_moments
before = peak_memory()
source = Source.parse("cifar10")
estimate_moments(source.train.chunks(8192)).cov()
print(before, peak_memory())
"""


def run() -> None:
    """Print the table. Needs the CIFAR-10 training images."""
    data = Source.parse("cifar10").train
    plain_input = data.data.float()
    ours, plain = alternate_ms(
        lambda: estimate_moments(data.chunks(8192)), lambda: plain_input.T @ plain_input, repeats=3
    )
    exact = estimate_moments(data.chunks(8192)).gram.triu()
    shifted = data.data[:8192].to(torch.int64) - 128
    part = estimate_moments([data.data[:8192]]).gram.triu()
    columns = slice(0, 64)
    truth = shifted[:, columns].T @ shifted
    wrong = int((part[columns] - truth.triu()).abs().max())
    floats = (shifted.float().T @ shifted.float()).double()
    rounding = float((floats.triu() - part.double()).abs().max())
    before, peak = map(int, subprocess.check_output([sys.executable, "-c", _PEAK], text=True).split())
    print("| covariance of 50,000 CIFAR-10 images, d = 3072 | |\n|---|---|")
    print(f"| exact integer sums (ours) | {ours:,.0f} ms |")
    print(f"| one float32 product X^T X | {plain:,.0f} ms |")
    print(f"| rate against the float32 product | {plain / ours:.2f}x |")
    print(f"| largest error of ours (8,192 images, first 64 columns, against int64) | {wrong} |")
    print(f"| largest error of the float32 product (8,192 images), integer units | {rounding:.0f} |")
    print(f"| peak memory above the imports, data and covariance included | {(peak - before) / 1e6:,.0f} MB |")
    assert exact.dtype == torch.int64
    _decomposed()


def _decomposed() -> None:
    """Print what covariance and eigendecomposition take together, and two passes and an SVD in single precision."""
    photographs = Source.parse("afhq_cats").train.data[:400].reshape(400, 3, 32, 32).float()
    large = torch.nn.functional.interpolate(photographs, (80, 80), mode="bicubic").mean(dim=1).round().clamp(0, 255)
    grey = Dataset("made", "train", ImageShape(1, 80, 80), large.flatten(1).to(torch.uint8))
    colour = Source.parse("cifar10").train
    sets = {
        "200 images of 3 x 32 x 32, d = 3072": colour.first(200),
        "400 grey images of 80 x 80, d = 6400": grey,
        "50,000 images of 3 x 32 x 32, d = 3072": colour,
    }
    print(
        "\n| covariance and its eigendecomposition | ours, s | two passes, SVD in float32, s | | memory of ours, MB |"
    )
    print("|---|--:|--:|--:|--:|")
    for name, images in sets.items():
        peak, start = PeakMemory(), time.perf_counter()
        held = peak.start() or 0
        with TemporaryDirectory() as folder:
            finish(fit_filter(InMemory(images), Compute(), Store(Path(folder)), exact=True))
        ours, most = time.perf_counter() - start, (peak.read() or 0) - held
        start, plain = time.perf_counter(), ""
        if images.shape.d < 4096:  # else the SVD takes many minutes
            _two_passes(images)
            took = time.perf_counter() - start
            plain = f"{took:.1f} | {took / ours:.1f}x"
        print(f"| {name} | {ours:.2f} | {plain or ' | '} | {most / 1e6:,.0f} |", flush=True)


def _two_passes(images: Dataset) -> None:
    """As released code does: the mean, then centred products, batch by batch, and an SVD of the covariance."""
    batches = range(0, len(images), 1024)
    mean = torch.stack([images.x0(slice(i, i + 1024)).sum(dim=0) for i in batches]).sum(dim=0) / len(images)
    covariance = torch.zeros(len(mean), len(mean))
    for i in batches:
        away = images.x0(slice(i, i + 1024)) - mean
        covariance += away.T @ away
    torch.linalg.svd(covariance / (len(images) - 1))
