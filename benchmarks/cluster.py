"""A cluster against one process: efficiency, bytes moved, and what the measured parts say of ImageNet at 64 pixels."""

from __future__ import annotations

import math
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from locality.cluster.compute import ClusterCompute, leave
from locality.cluster.held import add_moments, pack_moments
from locality.dataset import Dataset, InMemory
from locality.datasets import Source
from locality.denoisers import DENOISERS
from locality.denoisers.pca_locality import PcaLocalityDenoiser
from locality.device import Compute
from locality.linear.moments import estimate_moments
from locality.store import default_store
from locality.studies import finish
from locality.types import Denoiser

MODEL, SIGMA, BATCH = "pca_locality", 2.0, 8
COUNTS = (1, 2, 4)
IMAGENET = (1_281_167, 12_288)  # images of 3 x 64 x 64
MANY = (10, 100, 1000)
_REPEATS = 3
_WIRE = 1.25e9  # bytes a second between two machines: 10 Gbit/s
_SIGNAL = 1e-3  # seconds until a task is known to be done, besides what was measured here


@dataclass(frozen=True)
class Parts:
    """Measured at n x d: seconds of one thread for all images, and of what each worker does whatever their number."""

    n: int
    d: int
    support: float  # columns a coordinate compares, on average
    summed: float
    added: float
    averaged: float
    planned: float  # masks from the matrix of the field, and the way through them
    matrix: float  # that matrix
    overhead: float


def run(images: int = 50_000) -> None:
    """Print both tables. Needs the CIFAR-10 images."""
    torch.set_num_threads(1)
    source = Source.parse("cifar10")  # whose eigendecomposition is shipped
    data = InMemory(source.train.first(images))
    denoiser = finish(DENOISERS.parse(f"{MODEL}:first={images}").fit(source, Compute(), default_store()))
    assert isinstance(denoiser, PcaLocalityDenoiser)
    x = source.train.x0(slice(0, BATCH)) + SIGMA * torch.randn(BATCH, source.shape.d)
    parts = _alone(data.data, denoiser, x)
    print(f"| {images:,} CIFAR-10 images, {os.cpu_count()} cores | statistics, s | efficiency | moved, MB ", end="")
    print(f"| a step of {MODEL}, s | efficiency | moved, MB |\n|---|---|---|---|---|---|---|")
    print(f"| one process, one thread | {parts.summed:.2f} | | | {parts.averaged:.2f} | | |", flush=True)
    for count in COUNTS:
        parts = _with(count, data, denoiser, x, parts)
    print("\nBefore it every worker makes the masks of the noise level: ", end="")
    print(f"{parts.matrix:.2f} s the field's matrix, {parts.planned:.2f} s the masks and the way through them.\n")
    _predict(parts)


def _alone(train: Dataset, denoiser: PcaLocalityDenoiser, x: Tensor) -> Parts:
    denoiser(x, SIGMA)  # loops are loaded, or compiled

    def anew() -> None:
        denoiser.plans.clear()
        denoiser(x, SIGMA)

    first, again = _seconds(anew), _seconds(lambda: denoiser(x, SIGMA))
    summed = _seconds(lambda: estimate_moments(train.chunks(8192)))
    packed = pack_moments(estimate_moments([train.data[:64]]))
    matrix = _seconds(lambda: denoiser.field.matrix(SIGMA))
    add_moments(packed, packed)
    added = _seconds(lambda: add_moments(packed, packed))
    support, planned = denoiser.plan(SIGMA).support, max(0.0, first - again - matrix)
    return Parts(len(train), train.shape.d, support, summed, added, again, planned, matrix, 0.0)


def _with(count: int, data: InMemory, denoiser: Denoiser, x: Tensor, parts: Parts) -> Parts:
    """One line of the table; of one worker also what a step costs besides the work."""
    compute = ClusterCompute(cluster=f"local:{count}")
    try:
        compute.shards(data)
        many = compute.spread(denoiser, data)
        many(x, SIGMA)  # the model is sent, masks are made
        before, small = compute.team.moved, x[:1]
        step = _seconds(lambda: many(x, SIGMA))
        moved = (compute.team.moved - before) / _REPEATS
        finish(compute.moments(InMemory(data.data.first(64))))
        before = compute.team.moved
        spent = _seconds(lambda: finish(compute.moments(data)))
        sent = (compute.team.moved - before) / _REPEATS
        if count == 1:
            few = compute.spread(finish(DENOISERS.parse("optimal:first=1").fit(data, Compute(), default_store())), data)
            few(small, SIGMA)
            parts = Parts(**{**vars(parts), "overhead": _seconds(lambda: few(small, SIGMA))})
    finally:
        leave(compute.cluster)
    cores = min(count, os.cpu_count() or 1)
    print(
        f"| {count} worker{'s' * (count > 1)} of one thread | {spent:.2f} | {parts.summed / spent / cores:.0%} ", end=""
    )
    print(f"| {sent / 1e6:.0f} ", end="")
    print(f"| {step:.2f} | {parts.averaged / step / cores:.0%} | {moved / 1e6:.1f} |", flush=True)
    return parts


def _predict(parts: Parts) -> None:
    """ImageNet at 64 by the laws of the parts: sums n d^2, averages n d support, matrix d^3, masks d^2, results b d."""
    n, d = IMAGENET
    wide = d / parts.d
    summed = parts.summed * n / parts.n * wide**2
    averaged = parts.averaged * n / parts.n * wide**2  # the same share of the coordinates is compared
    planned = parts.planned * wide**2 + parts.matrix * wide**3
    bytes_of = {"statistics": 8.0 * d * d, "step": 24.0 * BATCH * d}
    added = parts.added * wide**2
    print(
        f"| {n:,} x {d:,}, {BATCH} noisy images | workers | images, GB each | work, s | merging, s | other, s ", end=""
    )
    print("| in all, s | bound by |\n|---|---|---|---|---|---|---|---|")
    for what, work, each, fixed in (
        ("statistics", summed, added + bytes_of["statistics"] / _WIRE, 0.0),
        (f"a step of {MODEL}", averaged, bytes_of["step"] / _WIRE + _SIGNAL, planned),
    ):
        for count in MANY:
            levels = math.ceil(math.log2(count))
            merging = levels * (each + _SIGNAL) + each
            other = fixed + parts.overhead + count * _SIGNAL
            share = {"the work": work / count, "merging": merging, "masks, made by every worker": other}
            bound = max(share, key=lambda name: share[name])
            if what == "statistics" and bound.startswith("masks"):
                bound = "starting the tasks"
            print(f"| {what} | {count:,} | {n * d / count / 1e9:.2f} | {work / count:,.1f} | {merging:.1f} ", end="")
            print(f"| {other:.1f} | {work / count + merging + other:,.1f} | {bound} |", flush=True)
    print(
        f"\nAssumed: workers of one thread as fast as here, {_WIRE * 8 / 1e9:.0f} Gbit/s between any two, "
        f"{_SIGNAL * 1e3:.0f} ms a task, masks that hold the same share of the coordinates as CIFAR-10's at sigma "
        f"{SIGMA:g} ({parts.support / parts.d:.0%}), sums of 8-bit images; measured besides: "
        f"{parts.overhead * 1e3:.0f} ms of a step without work, {parts.added:.2f} s to add two covariances of "
        f"d = {parts.d:,}. The eigendecomposition, on one machine, is not in it."
    )


def _seconds(work: Callable[[], object]) -> float:
    """Median of a few."""
    spent = []
    for _ in range(_REPEATS):
        began = time.perf_counter()
        work()
        spent.append(time.perf_counter() - began)
    return statistics.median(spent)
