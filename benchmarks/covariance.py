"""Exact covariance of CIFAR-10 against one plain float32 product, and its peak memory."""

from __future__ import annotations

import subprocess
import sys

import torch

from benchmarks.timing import alternate_ms
from locality.datasets import Source
from locality.linear.moments import estimate_moments

_PEAK = """
import resource, torch
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
