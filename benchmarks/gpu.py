"""A GPU beside the CPU: agreement, time, peak memory, and whether the host waits inside a step; one table.

    python -m benchmarks.gpu --dataset faces --first 1000          # as `make gpu-check`
    python -m benchmarks.gpu --device cpu --dataset digits --first 200 --model optimal wiener

Without a CUDA device it says so and ends well. `--device cpu` puts the CPU beside itself: all of this but CUDA.
A call asks once whether x is finite, for which the host waits; `waits` counts what it waits for beside that.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile, record_function

from locality.dataset import Dataset
from locality.datasets import Source
from locality.denoisers import DENOISERS
from locality.device import Compute, devices_here, fast_bfloat16
from locality.errors import LocalityError
from locality.fields.jacobian import field_rows, pixel_outputs
from locality.linear.integers import integer_product
from locality.linear.moments import estimate_moments
from locality.linear.wiener import coordinates
from locality.memory import PeakMemory
from locality.networks import NETWORKS, Machine, NetworkDenoiser, Training, TrainSpec
from locality.noise import field_noise
from locality.store import default_store
from locality.studies import Untrained, find_model, finish, fit_wiener
from locality.types import ImageShape, Pixel

SIGMA, BATCH, REPEATS = 0.7, 8, 3
os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler tells of itself otherwise
_WAITING = ("cudaStreamSynchronize", "cudaEventSynchronize", "cudaDeviceSynchronize", "Memcpy DtoH")
Call = Callable[[], Tensor]
Made = Callable[[str, bool], Call]  # for a device; whether it is the CPU's side, which is plain float32


@dataclass(frozen=True)
class Row:
    """One thing on a device and on the CPU: seconds of a call on each, bytes at most, largest difference, waits."""

    what: str
    seconds: float
    cpu: float
    peak: int | None
    far: float
    allowed: float
    waits: int | None
    cuda: bool

    @property
    def passes(self) -> bool:
        return self.far <= self.allowed and not (self.waits and self.cuda)

    def __str__(self) -> str:
        memory = "" if self.peak is None else f"{self.peak / 1e6:,.0f}"
        times = f"{1e3 * self.seconds:,.2f} | {1e3 * self.cpu:,.2f} | {self.cpu / self.seconds:.1f}x"
        told = "" if self.waits is None else str(self.waits)
        verdict = "yes" if self.passes else "**no**"
        return f"| {self.what} | {times} | {memory} | {self.far:.1e} | {self.allowed:.0e} | {told} | {verdict} |"


def compared(what: str, made: Made, device: str, allowed: float, *, waits: bool = True) -> Row:
    """The same call made for a device and for the CPU; `allowed` is the largest difference that is rounding."""
    there, here = made(device, False), made("cpu", True)
    found, known = there(), here()  # warm: masks, compiled loops, the allocator
    peak = PeakMemory(device)
    peak.start()
    seconds = statistics.median(_seconds(there, device) for _ in range(REPEATS))
    far = float((found.detach().double().cpu() - known.detach().double()).abs().max())
    cpu = statistics.median(_seconds(here, "cpu") for _ in range(REPEATS))
    waited = waits_of(there, device) if waits else None
    return Row(what, seconds, cpu, peak.read(), far, allowed, waited, device.startswith("cuda"))


def waits_of(call: Call, device: str) -> int:
    """How often the host waits for the device in a call, beside asking whether x is finite."""
    asked: list[int] = []
    check = ImageShape.check

    def counting(shape: ImageShape, x: Tensor) -> None:
        asked.append(1)
        check(shape, x)

    with patch.object(ImageShape, "check", counting):
        call()
    cuda = device.startswith("cuda")
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    with profile(activities=kinds) as profiler:
        with record_function("one step"):
            call()
        _settle(device)
    events = profiler.events() or []
    step = next(event.time_range for event in events if event.name == "one step")
    names = [event.name for event in events if step.start <= event.time_range.start <= step.end]
    if not cuda:  # values that are read; some lie on the CPU anyway, so that nobody would wait for them
        return names.count("aten::_local_scalar_dense") - len(asked)
    return max(sum(name.startswith(kind) for name in names) for kind in _WAITING) - len(asked)


def rows(source: Source, models: Sequence[str], network: str, device: str) -> Iterator[Row | str]:
    """Every comparison, or why it was not made."""
    yield from _models(source, models, device)
    yield from _fields(source, network, device)
    yield from _statistics(source, device)
    yield from _networks(source, network, device)


def _models(source: Source, models: Sequence[str], device: str) -> Iterator[Row | str]:
    x = _noisy(source)
    for text in models:
        for compute in (Compute(device), Compute(device, others=(device,))):
            if compute.others and text not in ("optimal", "pca_locality"):
                continue

            def made(where: str, plain: bool, text: str = text, compute: Compute = compute) -> Call:
                chosen = Compute(where) if plain else compute
                denoiser = finish(find_model(source, text).open(store=default_store(), compute=chosen))
                noisy = x.to(where)
                return lambda: denoiser(noisy, SIGMA)

            name = f"{text}, on two shards" if compute.others else text
            try:
                # Integer products leave answers right to 0.002, and CPU and GPU may take them at different noise.
                yield compared(name, made, device, 2e-3)
            except LocalityError as error:
                yield f"{name}: {error}"


def _fields(source: Source, network: str, device: str) -> Iterator[Row]:
    pixel = Pixel(source.shape.h // 2, source.shape.w // 2)
    wiener = finish(fit_wiener(source))
    x, outputs = _noisy(source), pixel_outputs(source.shape, pixel)

    def predicted(where: str, _: bool) -> Call:
        there = wiener.on(torch.device(where))
        return lambda: there.rows(coordinates(source.shape, pixel), SIGMA)

    def learned(where: str, _: bool) -> Call:
        there, noisy = _network(network, source.shape, where), x.to(where)
        return lambda: field_rows(there, noisy, outputs, SIGMA)

    yield compared("predicted field", predicted, device, 1e-5, waits=False)
    yield compared(f"learned field, {len(x)} draws", learned, device, 1e-3, waits=False)


def _statistics(source: Source, device: str) -> Iterator[Row]:
    data = source.train.data

    def covariance(where: str, _: bool) -> Call:
        return lambda: estimate_moments(data.split(4096), devices=(where,)).cov()

    def product(where: str, _: bool) -> Call:
        pixels = torch.randint(-128, 128, (1024, 1024), generator=torch.Generator().manual_seed(0), dtype=torch.int8)
        there = pixels.to(where)
        return lambda: integer_product(there.T.contiguous(), there)

    exact = 0.0 if source.train.is_8bit else 1e-10
    yield compared(f"covariance of {len(data):,} images", covariance, device, exact, waits=False)
    yield compared("integer product, side 1024", product, device, 0.0)


def _networks(source: Source, network: str, device: str) -> Iterator[Row | str]:
    x = _noisy(source)
    for mode, allowed in (("highest", 1e-4), ("high", 1e-2), ("bfloat16", 0.1)):

        def call(where: str, plain: bool, mode: str = mode) -> Call:
            there, noisy = _network(network, source.shape, where), x.to(where)

            @torch.no_grad()
            def work() -> Tensor:
                with precision("highest" if plain else mode, where):
                    return there(noisy, SIGMA)

            return work

        yield compared(f"network, {mode}", call, device, allowed)
    usual = TrainSpec(batch=BATCH, warmup=1, bfloat16=False)
    for train, allowed in ((usual, 1e-3), (replace(usual, bfloat16=True), 5e-2)):
        if train.bfloat16 and not fast_bfloat16(torch.device(device).type):
            yield "training step, bfloat16: not computed by this device itself"
            continue

        def steps(where: str, plain: bool, train: TrainSpec = train) -> Call:
            return _stepping(source.train, network, usual if plain else train, where)

        yield compared(f"two training steps, {'bfloat16' if train.bfloat16 else 'float32'}", steps, device, allowed)


def _stepping(images: Dataset, network: str, train: TrainSpec, where: str) -> Call:
    """Two steps on; returns their losses, the second of which tells what the first has changed."""
    training = Training(images, NETWORKS.parse(network), train, Path(), machine=Machine(where))
    return lambda: torch.stack([training._step(0.0), training._step(0.0)])


@contextmanager
def precision(mode: str, device: str) -> Iterator[None]:
    """Products of float32 in full (highest), in TF32 (high), or the network in bfloat16."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high" if mode == "high" else "highest")
    torch.backends.cudnn.allow_tf32 = mode == "high"
    try:
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=mode == "bfloat16"):
            yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


def _noisy(source: Source) -> Tensor:
    x0 = source.held_out.x0(slice(0, BATCH))
    return x0 + SIGMA * field_noise(len(x0), source.shape.d, 0)


def _network(text: str, shape: ImageShape, where: str) -> NetworkDenoiser:
    """As it starts: the same weights everywhere."""
    made = Untrained(NETWORKS.parse(text), shape, 0).build()
    return replace(made, net=Machine(where).placed(made.net, bfloat16=False).eval())


def _seconds(call: Call, device: str) -> float:
    _settle(device)
    began = time.perf_counter()
    call()
    _settle(device)
    return time.perf_counter() - began


def _settle(device: str) -> None:
    """Wait until a device has done all it was given."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def check(dataset: str, first: int, models: Sequence[str], network: str, device: str) -> bool:
    """Print the table; whether everything agrees and nothing waits."""
    source = Source.parse(dataset, first)
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else device
    print(f"{name} beside the CPU ({torch.get_num_threads()} threads): {source.text}, ", end="")
    print(f"{BATCH} noisy images, sigma {SIGMA}\n")
    print("| what | device, ms | CPU, ms | | peak, MB | difference | allowed | waits | agrees |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|---|")
    fine, left = True, []
    for row in rows(source, models, network, device):
        if isinstance(row, Row):
            fine = fine and row.passes
            print(row, flush=True)
        else:
            left.append(row)
    if left:
        print("\nLeft out:\n" + "".join(f"- {line}\n" for line in left))
    return fine


def main(typed: Sequence[str] | None = None) -> int:
    """Exit code: 1 where something does not agree or waits."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    options.add_argument("--device", default="cuda")
    options.add_argument("--dataset", default="faces")
    options.add_argument("--first", type=int, default=1000)
    options.add_argument("--model", nargs="+", default=list(DENOISERS))
    options.add_argument("--network", default="unet")
    chosen = options.parse_args(typed)
    if chosen.device.startswith("cuda") and not torch.cuda.is_available():
        print(f"No CUDA device here (only {', '.join(devices_here())}): nothing was compared.")
        return 0
    return 0 if check(chosen.dataset, chosen.first, chosen.model, chosen.network, chosen.device) else 1


if __name__ == "__main__":
    sys.exit(main())
