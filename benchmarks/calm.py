"""Work beside other processes that want the same cores: threads that spin or wait, `stats`, training, and clicks.

What is fair is measured: the time in which one thread with an equal claim, a busy loop beside the work, gets as many
processor-seconds as the work takes without the loops. That holds whatever else runs.
"""

from __future__ import annotations

import asyncio
import os
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.load import PAGE, processor_seconds, shared_server, visitor_of
from locality.calm import wait_calmly

_NAMES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
_WORK = """
import sys, time, torch
torch.set_num_threads(int(sys.argv[1]))
net = torch.nn.Sequential(*(torch.nn.Conv2d(16, 16, 3, padding=1) for _ in range(6)))
x = torch.randn(8, 16, 32, 32)
net(x).sum().backward()
start = time.perf_counter()
for _ in range(40):
    net(x).square().mean().backward()
print(time.perf_counter() - start)
"""


_CLICKS = 20


@dataclass
class Spent:
    """Wall and processor-seconds of some work, and the processor-seconds that each busy loop got meanwhile."""

    wall: float = 0.0
    own: float = 0.0
    loop: float = 0.0


def run() -> None:
    """Print both tables. Needs the images of CIFAR-10."""
    _threads()
    _fair()


def _threads() -> None:
    cores = os.cpu_count() or 1
    print(f"| 40 passes through six small convolutions, {cores} cores | alone | beside {cores} busy processes |")
    print("|---|---|---|")
    for label, threads, calm in (
        ("one thread", 1, True),
        (f"{cores} threads, spinning (PyTorch's default)", cores, False),
        (f"{cores} threads, waiting (as the command line and the server set it)", cores, True),
    ):
        alone = _seconds(threads, calm=calm)
        with _busy(cores):
            beside = _seconds(threads, calm=calm)
        print(f"| {label} | {alone:.2f} s | {beside:.2f} s |", flush=True)


def _seconds(threads: int, *, calm: bool) -> float:
    environment = {name: value for name, value in os.environ.items() if name not in _NAMES}
    if calm:
        wait_calmly(environment)
    command = [sys.executable, "-c", _WORK, str(threads)]
    runs = [subprocess.run(command, env=environment, capture_output=True, text=True, check=True) for _ in range(3)]
    return statistics.median(float(out.stdout) for out in runs)


def _fair() -> None:
    """Print what `stats` and a reader's clicks take beside busy loops, one for each core."""
    cores = os.cpu_count() or 1
    print(f"\n| beside {cores} busy loops | processor-s without | with | took without, s | with | fair, s ", end="")
    print("| took / fair |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    _row("`stats cifar10 --first 10000 --exact`, nothing kept", _stats(0), _stats(cores))
    _row("`train digits --network unet:channels=16-32 --images 4096`, beside one loop", _train(0), _train(1))
    with TemporaryDirectory() as folder, shared_server(Path(folder)) as (url, process):
        _, *rounds = (asyncio.run(_page(url, process, n, seed)) for seed, n in enumerate((0, 0, cores)))  # warm by one
        for (name, alone), (_, beside) in zip(*rounds, strict=True):
            _row(name, alone, beside)


def _row(name: str, alone: Spent, beside: Spent) -> None:
    fair = alone.own / (beside.loop / beside.wall)
    taken = f"{alone.own:.2f} | {beside.own:.2f} | {alone.wall:.2f} | {beside.wall:.2f} | {fair:.2f}"
    print(f"| {name} | {taken} | {beside.wall / fair:.2f} |", flush=True)


def _stats(loops: int) -> Spent:
    return _command(loops, "stats", "cifar10", "--first", "10000", "--exact")


def _train(loops: int) -> Spent:
    with TemporaryDirectory() as out:
        return _command(loops, "train", "digits", "--network", "unet:channels=16-32", "--images", "4096", "--out", out)


def _command(loops: int, *words: str) -> Spent:
    """A command whose cache is empty, as it is typed."""
    with TemporaryDirectory() as cache, _spent(loops, _of_children) as spent:
        environment = os.environ | {"LOCALITY_CACHE": cache}
        subprocess.run([sys.executable, "-m", "locality", *words], env=environment, capture_output=True, check=True)
    return spent


def _of_children() -> float:
    return sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


async def _page(url: str, process: int, loops: int, seed: int) -> list[tuple[str, Spent]]:
    """Clicks of one visitor one after the other, then questions for sixteen more draws."""
    visitor, draw, found = await visitor_of(url), random.Random(seed), []
    await visitor.open(PAGE)
    for name, ask in (("click", lambda: visitor.click(draw)), ("16 more draws", visitor.draws)):
        await ask()
        with _spent(loops, lambda: processor_seconds(process)) as spent:
            for _ in range(_CLICKS):
                await ask()
        found.append((f"{_CLICKS} times: {name}", spent))
    await visitor.stream.close()
    return found


@contextmanager
def _spent(loops: int, own: Callable[[], float]) -> Iterator[Spent]:
    """Filled in at the end; `own` counts the work's processor-seconds."""
    spent = Spent()
    with _busy(loops) as others:
        before, began, start = sum(map(processor_seconds, others)), time.perf_counter(), own()
        yield spent
        spent.wall, spent.own = time.perf_counter() - began, own() - start
        spent.loop = (sum(map(processor_seconds, others)) - before) / max(loops, 1)


@contextmanager
def _busy(count: int) -> Iterator[list[int]]:
    """Processes that compute without end; their numbers."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield [other.pid for other in others]
    finally:
        for other in others:
            other.kill()
            other.wait()
