"""What a model costs here: its fit, a call at any noise level and batch, and memory, from about a second of real work.

The calls are real ones, on all training images, cut off at a heartbeat once they have shown their pace. What they
took is kept beside the time of a fixed piece of work, the pulse: on a machine that is busier now than it was then
the pulse takes longer, and so will the model.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from locality.device import Compute, machine_facts
from locality.memory import PeakMemory
from locality.noise import unit_noise
from locality.store import Artifact, Store
from locality.studies.models import Model
from locality.types import Denoiser
from locality.work import Progress, finish, listening

KIND, VERSION = "cost_law", 1
_LEVELS = 12  # at most so many noise levels are timed
_BATCHES = (1, 2, 4, 8, 16, 32, 64)
_CALLS, _FIT = 1.2, 4.0  # seconds after which all calls, or a fit, have shown their pace
_KEPT = 0.3  # seconds: a shorter fit is not timed again
_MOST = 8.0  # the pulse may tell of a machine at most so many times busier, or calmer


class _Enough(Exception):
    """Raised inside a call or a fit to end it."""


@dataclass(frozen=True)
class Law:
    """Seconds of the fit, and of a call on `batch` images at each of `sigmas` (decreasing), by the pulse of that time.

    `seconds` is empty where the fit was too long to be waited for: then `fit` is what its progress promised.
    """

    fit: float
    batch: int
    sigmas: tuple[float, ...]
    seconds: tuple[float, ...]
    bytes: int | None
    pulse: float

    def call(self, sigma: float, count: int) -> float:
        """Seconds of a call on so many images: a power law of sigma between the levels, in proportion to the batch."""
        ln = [math.log(level) for level in self.sigmas[::-1]]
        each = np.interp(math.log(sigma), ln, [math.log(one) for one in self.seconds[::-1]])
        return count / self.batch * math.exp(float(each))

    @staticmethod
    def read(meta: dict[str, Any]) -> Law:
        """As kept in the store."""
        return Law(**{**meta, "sigmas": tuple(meta["sigmas"]), "seconds": tuple(meta["seconds"])})


def law_of(
    model: Model, count: int, sigmas: Iterable[float], *, store: Store, compute: Compute
) -> Generator[Progress, None, Law]:
    """The law of a model for batches of about `count` images at these noise levels: kept, else measured now.

    Raises:
        DataUnavailable, BadInput, TooLarge, NonFinite: whatever keeps the model from running.
    """
    batch = min(_BATCHES, key=lambda size: abs(math.log(size / count)))
    levels = _some(sorted(set(sigmas), reverse=True))
    key = {
        "model": model.key(),
        "batch": batch,
        "sigmas": list(levels),
        "machine": machine_facts(),
        "compute": asdict(compute),
        "version": VERSION,
    }
    kept = store.get(KIND, key)
    if kept is not None:
        return Law.read(kept.meta)
    made = yield from measured(model, batch, levels, store, compute)
    if made.seconds:  # a fit that was not waited for may be kept by the next time
        store.put(KIND, key, Artifact({}, asdict(made)))
    return made


def pulse() -> float:
    """Seconds of a fixed piece of work, as busy as the machine is now: about 0.1."""
    x = torch.full((256, 256), 1e-3)
    x @ x
    began = time.perf_counter()
    for _ in range(200):
        x @ x
    return time.perf_counter() - began


def busier(law: Law, now: float) -> float:
    """How many times longer everything takes than when the law was measured."""
    return min(max(now / law.pulse, 1 / _MOST), _MOST)


def _some(levels: list[float]) -> tuple[float, ...]:
    """All of them, or so many that are timed, with both ends."""
    if len(levels) <= _LEVELS:
        return tuple(levels)
    return tuple(levels[round(i * (len(levels) - 1) / (_LEVELS - 1))] for i in range(_LEVELS))


def measured(
    model: Model, batch: int, sigmas: tuple[float, ...], store: Store, compute: Compute
) -> Generator[Progress, None, Law]:
    """The law at these noise levels (decreasing), measured now. Raises as `law_of`."""
    yield Progress(0.0, 1.0, "Timing the model")
    now, peak, began = pulse(), PeakMemory(compute.device), time.perf_counter()
    before = peak.start()
    denoiser, promised = _opened(model, store, compute)
    if denoiser is None:
        return Law(promised, batch, sigmas, (), None, now)
    x0 = torch.zeros(1, model.source.shape.d) if not model.source.available else model.source.train.x0(slice(0, batch))
    x0 = x0[torch.arange(batch) % len(x0)]
    eps = unit_noise(range(batch), x0.shape[1], 0)

    def timed(sigma: float, patience: float = _CALLS / len(sigmas)) -> float:
        return _call(denoiser, (x0 + sigma * eps).to(compute.device), sigma, patience)

    timed(sigmas[0], 0.0)  # what only a first call does, such as compiling, is done here and kept
    fit = time.perf_counter() - began
    if fit > _KEPT:  # most fits are kept too: from now on it is reading them that counts
        began = time.perf_counter()
        again, promised = _opened(model, store, compute)
        fit = promised if again is None else time.perf_counter() - began
    seconds = []
    for i, sigma in enumerate(sigmas):
        yield Progress(i + 1, len(sigmas) + 1, "Timing the model")
        seconds.append(max(timed(sigma), 1e-6))
    after, now = peak.read(), (now + pulse()) / 2  # the machine may have changed meanwhile
    known = before is not None and after is not None
    taken = max((after or 0) - (before or 0), 0) if known else None
    return Law(fit, batch, sigmas, tuple(seconds), taken, now)


def _opened(model: Model, store: Store, compute: Compute) -> tuple[Denoiser | None, float]:
    """The model, ready; or None and how many seconds its fit would take, by its own progress."""
    began, share = time.perf_counter(), 0.0

    def follow(event: Progress) -> None:
        nonlocal share
        share = max(share, event.fraction)
        if time.perf_counter() - began > _FIT:
            raise _Enough

    try:
        return finish(model.open(store=store, compute=compute), follow), 0.0
    except _Enough:
        return None, (time.perf_counter() - began) / max(share, 0.01)


@torch.no_grad()
def _call(denoiser: Denoiser, x: torch.Tensor, sigma: float, patience: float) -> float:
    """Seconds of a call; of one that takes longer than `patience`, from the pace between its heartbeats."""
    beats: list[tuple[float, float]] = []
    began = time.perf_counter()

    def heard(share: float) -> None:
        beats.append((share, time.perf_counter() - began))
        if beats[-1][1] > patience and len(beats) > 1:
            raise _Enough

    try:
        with listening(heard):
            denoiser(x, sigma).cpu()  # waits for the device
    except _Enough:
        return _whole(beats)
    return time.perf_counter() - began


def _whole(beats: list[tuple[float, float]]) -> float:
    """Seconds of the whole call: until its first heartbeat, and at the pace since."""
    (first, start), (last, end) = beats[0], beats[-1]
    if last <= first:
        return end / max(last, 1e-3)
    return start + (1 - first) * (end - start) / (last - first)
