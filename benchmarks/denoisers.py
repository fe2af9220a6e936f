"""Analytic denoisers against plain dense implementations, and what a step of each costs on all CIFAR-10 images."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.plain_patches import over_patches, over_windows
from benchmarks.timing import alternate_ms, median_ms
from locality.datasets import Source
from locality.denoisers import DENOISERS, Explains
from locality.denoisers.els import EquivariantDenoiser
from locality.denoisers.ls import local_score
from locality.denoisers.parts.bank import Bank
from locality.denoisers.parts.windows import WindowSchedule
from locality.denoisers.pspc_square import SquarePatchesDenoiser
from locality.device import Compute
from locality.store import default_store
from locality.studies import finish
from locality.types import Denoiser, Pixel

_MEMORY = """
import sys, time, torch
from locality.memory import peak_memory
from locality.datasets import Source
from locality.denoisers import DENOISERS
from locality.device import Compute
from locality.work import listening
from locality.store import default_store
from locality.studies import finish
class Enough(Exception): pass
source = Source.parse("cifar10")
began = time.perf_counter()
denoiser = finish(DENOISERS.parse(sys.argv[1]).fit(source, Compute(), default_store()))
fitted = time.perf_counter()
done = [0.0]
def listen(fraction):
    done[0] = fraction
    if time.perf_counter() - fitted > 60: raise Enough
x = torch.randn(8, source.shape.d, generator=torch.Generator().manual_seed(0))
seconds = []
for sigma in (3.44, 0.342):
    start = time.perf_counter()
    fitted = start
    try:
        with listening(listen), torch.no_grad(): denoiser(x * sigma, sigma)
        seconds.append(f"{time.perf_counter() - start:.1f} s")
    except Enough:
        seconds.append(f"about {(time.perf_counter() - start) / done[0] / 60:.0f} min (stopped after 60 s)")
print(peak_memory() / 1e6, *seconds, sep="|")
"""
MODELS = ("optimal", "nearest", "wiener", "smoothed", "ls", "els", "els:first=0", "bbels", "pspc_square", "pspc_flex")
MODELS += ("pca_locality", "golddiff", "gaussian_mixture", "patch_mixture")


def run() -> None:
    """Print the tables. Needs the images of CIFAR-10 and Fashion-MNIST."""
    _windows()
    _equivariant()
    _click()
    _costs()


def _noisy(source: Source, count: int, sigma: float) -> Tensor:
    eps = torch.randn(count, source.shape.d, generator=torch.Generator().manual_seed(0))
    return source.held_out.x0(slice(0, count)) + sigma * eps


def _bank(source: Source, count: int) -> Bank:
    return Bank.of(source.train, torch.arange(count), flips=False, compute=Compute())


def _windows() -> None:
    source = Source.parse("cifar10")
    print("| square windows, 4 noisy CIFAR-10 images, 4,000 training images | |\n|---|---|")
    _window("ls", local_score, source, compose=False)
    _window("pspc_square", _square, source, compose=True)
    print()


def _window(name: str, made: Callable[[Bank, int], Denoiser], source: Source, *, compose: bool) -> None:
    bank, few, sigma = _bank(source, 4000), _bank(source, 300), 1.0
    x = _noisy(source, 4, sigma)
    everything, some = bank.whole().float(), few.whole().float()
    small, large = alternate_ms(lambda: made(bank, 3)(x, sigma), lambda: made(bank, 17)(x, sigma), repeats=5)
    ours, optimal = alternate_ms(lambda: made(bank, 17)(x, sigma), lambda: _elementwise(x, everything, sigma), 5)
    print(f"| {name}: P = 17 against P = 3 | {large / small:.2f}x |")
    print(f"| {name}, P = 17, against `optimal` computed elementwise | {ours / optimal:.2f}x |")
    spent, took = alternate_ms(
        lambda: made(few, 17)(x, sigma),
        lambda: over_windows(x, some, source.shape, 17, sigma, compose=compose),
        repeats=3,
    )
    plain = over_windows(x, some, source.shape, 17, sigma, compose=compose)
    print(f"| {name}, P = 17, 300 images, against a plain loop over windows | {took / spent:.0f}x faster |")
    print(f"| ... largest difference of the outputs | {float((made(few, 17)(x, sigma) - plain).abs().max()):.1e} |")


def _elementwise(x: Tensor, items: Tensor, sigma: float) -> Tensor:
    """The optimal denoiser without a matrix product."""
    logits = torch.cat([((x[:, None] - part) ** 2).sum(dim=2) for part in items.split(256)], dim=1)
    weights = torch.softmax(-logits / (2 * sigma**2), dim=1)
    return torch.stack([(weights[i, :, None] * items).sum(dim=0) for i in range(len(x))])


def _square(bank: Bank, size: int) -> SquarePatchesDenoiser:
    return SquarePatchesDenoiser(bank, WindowSchedule((1.0,), (size,)))


def _equivariant() -> None:
    source = Source.parse("fashion_mnist")
    bank, few, sigma = _bank(source, 1000), _bank(source, 100), 1.0
    x = _noisy(source, 1, sigma)
    small, large = alternate_ms(
        lambda: _shifting(bank, 3).by_shifts(x, sigma, 3), lambda: _shifting(bank, 17).by_shifts(x, sigma, 17), 3
    )
    print("| els, one noisy Fashion-MNIST image | |\n|---|---|")
    print(f"| 1,000 training images by integral maps, P = 17 | {large / 1e3:.1f} s |")
    print(f"| P = 17 against P = 3, integral maps | {large / small:.2f}x |")
    quick = median_ms(lambda: _shifting(bank, 3)(x, sigma), 3)
    print(f"| 1,000 training images, P = 3, as the model does it | {quick / 1e3:.1f} s |")
    for size in (3, 17, 27):
        _shift(x, few, sigma, size)
    print()


def _shift(x: Tensor, bank: Bank, sigma: float, size: int) -> None:
    model = _shifting(bank, size)
    ours, plain = alternate_ms(lambda: model(x, sigma), lambda: over_patches(x, bank, model, size, sigma), repeats=3)
    difference = float((model(x, sigma) - over_patches(x, bank, model, size, sigma)).abs().max())
    print(
        f"| {len(bank)} images, P = {size}, against plain patches and one matrix product | {plain / ours:.1f}x faster |"
    )
    print(f"| ... largest difference of the outputs | {difference:.1e} |")


def _shifting(bank: Bank, size: int) -> EquivariantDenoiser:
    return EquivariantDenoiser(bank, WindowSchedule((1.0,), (size,)))


def _click() -> None:
    source = Source.parse("cifar10")
    print("| what decided a clicked pixel, all 50,000 CIFAR-10 images | sigma 3.44 | sigma 0.342 |\n|---|---|---|")
    for name in ("ls:window=9", "pca_locality", "pspc_flex"):
        denoiser = finish(DENOISERS.parse(name).fit(source, Compute(), default_store()))
        cells = [_explained_ms(denoiser, _noisy(source, 1, sigma)[0], sigma) for sigma in (3.44, 0.342)]
        print(f"| {name} | {cells[0]:.0f} ms | {cells[1]:.0f} ms |")
    print()


def _explained_ms(denoiser: Denoiser, x: Tensor, sigma: float) -> float:
    assert isinstance(denoiser, Explains)
    return median_ms(lambda: denoiser.explain(x, Pixel(16, 16), sigma), 3)


def _costs() -> None:
    print("| all 50,000 CIFAR-10 images, 8 noisy ones: a step at | sigma 3.44 | sigma 0.342 | peak memory |")
    print("|---|---|---|---|")
    for name in MODELS:
        out = subprocess.run([sys.executable, "-c", _MEMORY, name], capture_output=True, text=True, check=False)
        if out.returncode:
            print(f"| {name} | {out.stderr.strip().splitlines()[-1]} | | |")
            continue
        peak, high, low = out.stdout.strip().split("|")
        print(f"| {name} | {high} | {low} | {float(peak):,.0f} MB |", flush=True)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
