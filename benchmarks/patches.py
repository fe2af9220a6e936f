"""Patch mixtures, part by part: error over Wiener's on held-out images of single scales, and of several combined."""

from __future__ import annotations

import time

import torch

from locality.dataset import InMemory
from locality.datasets import Source
from locality.denoisers import DENOISERS
from locality.denoisers.parts.blend import held_out
from locality.denoisers.parts.scale_fit import Plan, learn_scale
from locality.denoisers.wiener import Wiener
from locality.device import Compute
from locality.metrics.denoising import RATIO_SIGMAS, error_ratio
from locality.store import default_store
from locality.types import Denoiser
from locality.work import finish

_IMAGES, _TRAINING = 64, 10_000
_SETS = ("mnist", "cifar10", "afhq_cats")
# window, rank, regions on a side, components, by precision
_ALONE = {
    "7": (7, 64, 1, 32, False),
    "7, all directions": (7, 0, 1, 32, False),
    "7, precision": (7, 64, 1, 32, True),
    "7, 4 x 4 regions": (7, 64, 4, 16, False),
    "7, 4 x 4 regions, precision": (7, 64, 4, 16, True),
    "5, precision": (5, 64, 1, 32, True),
    "11, precision": (11, 64, 1, 32, True),
    "15, precision": (15, 64, 1, 32, True),
    "the largest to 31": (31, 200, 1, 8, False),
}
_QUICK = "components=24,patches=40000,steps=5"
_TEXTS = (
    f"patch_mixture:{_QUICK}",
    f"patch_mixture:overlap=precision,rank=64,{_QUICK}",
    f"patch_mixture:windows=5-9-31,rank=64-64-128,overlap=precision,{_QUICK}",
    f"patch_mixture:windows=5-9-31,rank=64-64-128,positions=4,overlap=precision,{_QUICK}",
)


def run() -> None:
    """Print a table for each set. Needs the images of MNIST, CIFAR-10 and AFHQ cats; an hour on one core."""
    for name in _SETS:
        source = Source.parse(name)
        images = InMemory(source.train.first(min(_TRAINING, len(source.train))))
        wiener = finish(Wiener().fit(images, Compute(), default_store()))
        x0 = source.held_out.x0(slice(0, _IMAGES))
        seen = images.train.first(len(images.train) - held_out(len(images.train)))
        print(f"| {name}, sigma | {' | '.join(map(str, RATIO_SIGMAS))} | fit |\n|{'---|' * (len(RATIO_SIGMAS) + 2)}")
        largest = (min(source.shape.h, source.shape.w) + 1) // 2 * 2 - 1
        for label, (window, rank, grid, components, precise) in _ALONE.items():
            began = time.perf_counter()
            plan = Plan(components, precise, patches=60_000, steps=6, shrink=0.02, seed=0)
            scale = finish(learn_scale(seen, min(window, largest), rank, grid, plan, Compute().memory))
            _row(f"alone: {label}", scale, x0, wiener, time.perf_counter() - began)
        for text in _TEXTS:
            began = time.perf_counter()
            model = finish(DENOISERS.parse(text).fit(images, Compute(), default_store()))
            _row(f"`{text}`", model, x0, wiener, time.perf_counter() - began)


@torch.no_grad()
def _row(label: str, model: Denoiser, x0: torch.Tensor, wiener: Denoiser, seconds: float) -> None:
    ratios = [error_ratio(model, wiener, x0, sigma) for sigma in RATIO_SIGMAS]
    print(f"| {label} | {' | '.join(f'{ratio:.3f}' for ratio in ratios)} | {seconds:.0f} s |", flush=True)
