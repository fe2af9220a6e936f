"""How the time and memory of one denoising step grow with training images, with pixels and with the batch."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from locality.cluster.compute import ClusterCompute
from locality.cluster.here import usual
from locality.cluster.tasks import Errand, in_turn
from locality.dataset import Dataset, InMemory
from locality.datasets import Source
from locality.denoisers import DENOISERS, DenoiserSpec
from locality.device import Compute, threads
from locality.errors import BadInput
from locality.memory import PeakMemory
from locality.noise import unit_noise
from locality.pictures.room import filled
from locality.store import Store, default_store
from locality.studies.costs.plan import CostPlan, Costs
from locality.types import Denoiser, ImageShape
from locality.work import Progress, finish, map_progress

_LEAST = 3  # pixels of a side, below which nothing local is left


def measure_costs(
    source: Source, models: Sequence[str], plan: CostPlan, *, store: Store | None = None, compute: Compute | None = None
) -> Generator[Progress, None, Costs]:
    """Measure time and memory of a step of analytic models along N, d and the batch, and fit exponents.

    Raises:
        UnknownName, BadInput: a model that is none, is a trained network or follows one, or no model.
        DataUnavailable: the images are not on this machine. TooLarge: a point does not fit the memory budget.
    """
    store, compute = store or default_store(), compute or usual()
    specs = {text: _spec(text) for text in dict.fromkeys(models)}
    if not specs:
        raise BadInput("Name at least one model: --model pca_locality.")
    settings, notes = _settings(source, plan)
    points: list[dict[str, Any]] = []
    asked = [(text, *setting) for text in specs for setting in settings]
    shapes = {pool: pooled(source.train.first(1), pool).shape for _, _, pool, _ in settings}
    for text, axis, n, pool, batch in list(asked):
        try:
            specs[text].check(source.train.name, shapes[pool])
        except BadInput as error:
            notes.append(f"{_note(text, n, shapes[pool], batch)} is left out: {error}")
            asked.remove((text, axis, n, pool, batch))
    there: Iterator[dict[str, Any]] | None = None
    if isinstance(compute, ClusterCompute):
        errand = Errand.of(source, store, compute)
        there = in_turn(compute, _task, [(errand, plan, text, n, pool, batch) for text, _, n, pool, batch in asked])
    for done, (text, axis, n, pool, batch) in enumerate(asked):
        at = Progress(done, len(asked), _note(text, n, shapes[pool], batch))
        yield at
        if there is not None:
            spent = next(there)
        else:
            work = _point(specs[text], source, n, pool, batch, plan, store, compute)
            spent = yield from map_progress(work, lambda _, at=at: at)  # type: ignore[misc]
        points.append({"model": text, "axis": axis, "N": n, "d": shapes[pool].d, "batch": batch, **spent})
    return Costs(source.text, plan, tuple(points), tuple(notes))


def _point(
    spec: DenoiserSpec, source: Source, n: int, pool: int, batch: int, plan: CostPlan, store: Store, compute: Compute
) -> Generator[Progress, None, dict[str, Any]]:
    """Seconds and bytes of a step of a model of the first n images, averaged over squares of pixels."""
    images = pooled(source.train.first(n), pool)
    denoiser = yield from spec.fit(images, compute, store)
    with threads(plan.threads):
        return _measure(denoiser, images, batch, plan, compute.device)


def _task(errand: Errand, plan: CostPlan, text: str, n: int, pool: int, batch: int) -> dict[str, Any]:
    """The same on a worker of a cluster: what it costs there."""
    return finish(_point(_spec(text), errand.source, n, pool, batch, plan, errand.store, errand.compute))


def _note(text: str, n: int, shape: ImageShape, batch: int) -> str:
    return f"{text}: {n} images of {shape}, batch {batch}"


def pooled(data: Dataset, side: int) -> InMemory:
    """Images with squares of side x side pixels averaged; 8-bit images stay 8-bit."""
    if side == 1:
        return InMemory(data)
    c, h, w = data.shape
    shape = ImageShape(c, h // side, w // side)

    def part(rows: slice) -> Shaped[Tensor, "k e"]:
        small = torch.nn.functional.avg_pool2d(data.data[rows].float().reshape(-1, c, h, w), side).flatten(1)
        return small.round().to(torch.uint8) if data.is_8bit else small

    flat = filled(len(data), shape.d, data.data.dtype, part, in_file=data.mapped)
    return InMemory(replace(data, shape=shape, data=flat))


def _settings(source: Source, plan: CostPlan) -> tuple[list[tuple[str, int, int, int]], list[str]]:
    """(axis, N, side of the squares, batch) of every point, and what is left out."""
    most, notes = len(source.train), []
    base = min(plan.base_images, most)
    sizes = [n for n in plan.images if n <= most]
    if len(sizes) < len(plan.images):
        notes.append(f"{source.text} has {most:,} training images: no point with more.")
    side = min(source.shape.h, source.shape.w)
    pools = [pool for pool in plan.pools if side // pool >= _LEAST]
    if len(pools) < len(plan.pools):
        notes.append(f"Images of {source.shape} are averaged to no less than {_LEAST} pixels a side.")
    along_n = [("N", n, 1, plan.base_batch) for n in sizes]
    along_d = [("d", base, pool, plan.base_batch) for pool in pools]
    return [*along_n, *along_d, *(("batch", base, 1, batch) for batch in plan.batches)], notes


def _spec(text: str) -> DenoiserSpec:
    spec = DENOISERS.parse(text)
    if spec.network_needed():
        raise BadInput(f"{text} follows a trained network, which has one size: its cost cannot be measured along d.")
    return spec


@torch.no_grad()
def _measure(denoiser: Denoiser, images: InMemory, batch: int, plan: CostPlan, device: str) -> dict[str, Any]:
    """Seconds and bytes of a call; every repeat walks down the noise levels, as sampling does."""
    x0 = _queries(images, batch)
    eps = unit_noise(range(batch), x0.shape[1], plan.seed)
    levels = sorted(plan.sigmas, reverse=True)
    denoiser((x0 + levels[0] * eps).to(device), levels[0])  # what only a first call does is no cost of a step
    peak, spent, most = PeakMemory(device), [], 0
    known = True
    for _ in range(plan.repeats):
        for sigma in levels:
            x = (x0 + sigma * eps).to(device)
            before = peak.start()
            began = time.perf_counter()
            denoiser(x, sigma).cpu()  # waits for the device
            spent.append(time.perf_counter() - began)
            after = peak.read()
            known = known and before is not None and after is not None
            most = max(most, (after or 0) - (before or 0))
    count = len(levels)
    least = [min(spent[i::count]) for i in range(count)]
    return {"seconds": sum(least) / count, "bytes": most if known else None}


def _queries(images: InMemory, batch: int) -> Float[Tensor, "b d"]:
    rows = torch.arange(batch) % len(images.data)
    return images.data.x0(rows)
