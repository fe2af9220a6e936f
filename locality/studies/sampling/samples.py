"""Images from noise: trajectories kept in the store, step by step; and one denoising call."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from locality.cluster.here import usual
from locality.datasets import Source
from locality.device import Compute
from locality.errors import BadInput, TooLarge
from locality.networks import NetworkDenoiser, own_levels
from locality.sampler import Step, ddim, heun, initial, start_noise
from locality.schedule import check_sigma
from locality.store import Artifact, Store, default_store
from locality.studies.models import Model, find_model, finite
from locality.studies.sampling.config import OWN, Sampling, Trajectory, pack, stepped, unpack
from locality.types import Denoiser, ImageShape
from locality.work import Progress, heartbeat, within

KIND, VERSION = "samples", 1
LARGEST = 2 * 10**9  # bytes of one trajectory: it is held in memory, and once more as it is written
_TOGETHER = 64  # images a network sees at once: its activations are megabytes an image


def sample(
    source: Source, text: str, sampling: Sampling, *, store: Store | None = None, compute: Compute | None = None
) -> Generator[Progress, None, Trajectory]:
    """Draw images with a model (see `find_model`): progress of its fit, then one `Stepped` a step.

    The finished trajectory is kept; a kept one is replayed as the same events, at once and without a fit.
    Two who ask for the same at one time both compute it: a lock would make one wait without a way to stop.

    Raises:
        TooLarge: a trajectory over 2 GB, or a memory budget the model cannot keep.
        UnknownName, BadInput, DataUnavailable: see `find_model`.
        NonFinite: the model gave NaN or infinity.
    """
    store = store or default_store()
    model = find_model(source, text, store=store)
    check_size(sampling, source.shape)
    key = _key(model, sampling)
    kept = store.get(KIND, key)
    if kept is not None:
        trajectory = unpack(kept)
        for i in range(sampling.steps):
            yield stepped(trajectory, i)
        return trajectory
    drawing = _draw(model, text, sampling, store, compute or usual())
    return unpack((yield from store.kept(KIND, key, drawing, once=False)))


def found_samples(source: Source, text: str, sampling: Sampling, *, store: Store | None = None) -> Trajectory | None:
    """The kept trajectory of a draw, None where there is none. Raises as `find_model`."""
    store = store or default_store()
    kept = store.get(KIND, _key(find_model(source, text, store=store), sampling))
    return None if kept is None else unpack(kept)


def denoise(
    source: Source,
    text: str,
    x: Float[Tensor, "n d"],
    sigma: float,
    *,
    store: Store | None = None,
    compute: Compute | None = None,
) -> Generator[Progress, None, Float[Tensor, "n d"]]:
    """A model's estimate x0_hat(x; sigma), float32 on the CPU, not clamped. Raises as `sample`."""
    store, compute = store or default_store(), compute or usual()
    model, sigma = find_model(source, text, store=store), check_sigma(sigma)
    source.shape.check(x)
    denoiser = yield from model.open(store=store, compute=compute)
    yield Progress(0.0, 1.0, f"Denoising at sigma {sigma:.3g}")
    with torch.no_grad():
        x0_hat = _Paced(denoiser)(x.to(compute.device), sigma)
    return finite(x0_hat, text, sigma)


def _draw(
    model: Model, text: str, sampling: Sampling, store: Store, compute: Compute
) -> Generator[Progress, None, Artifact]:
    denoiser = yield from model.open(store=store, compute=compute)
    sigmas, shape = levels_of(model, sampling), model.source.shape
    x, x0_hat = (torch.empty(sampling.steps, sampling.count, shape.d) for _ in range(2))
    yield Progress(0.0, sampling.steps, f"Sampling, sigma {sigmas[0]:.3g}")
    steps, seconds = _steps(denoiser, sampling, sigmas, shape, compute.device), 0.0
    for i, sigma in enumerate(sigmas):
        began = time.perf_counter()
        step = next(steps)
        x[i], x0_hat[i] = step.x, finite(step.x0_hat, text, sigma)
        seconds += time.perf_counter() - began
        trajectory = Trajectory(x, x0_hat, sigmas, shape, seconds)
        yield stepped(trajectory, i)
    return pack(trajectory)


def levels_of(model: Model, sampling: Sampling) -> list[float]:
    """The noise levels of a draw, decreasing. Raises BadInput where a model has none of its own."""
    if sampling.grid != OWN:
        return sampling.sigmas()
    if model.network is None or model.spec is not None:
        raise BadInput("--grid checkpoint is for a checkpoint with steps of its own. Choose ddpm, edm or log.")
    return own_levels(model.network.folder, model.network.manifest, sampling.steps)


def _steps(
    denoiser: Denoiser, sampling: Sampling, sigmas: list[float], shape: ImageShape, device: str
) -> Iterator[Step]:
    x_T = initial(start_noise(shape, sampling.count, sampling.seed), sigmas[0], sampling.start).to(device)
    if sampling.sampler == "heun":
        return heun(_Paced(denoiser, calls=2), x_T, sigmas, clip=sampling.clip)
    return ddim(_Paced(denoiser), x_T, sigmas, clip=sampling.clip, eta=sampling.eta, seed=sampling.seed)


class _Paced:
    """A denoiser of which `calls` calls make a step, as its heartbeats tell; a network sees few images at a time.

    Heun's first step has one call only: it counts as the second half.
    """

    def __init__(self, denoiser: Denoiser, calls: int = 1) -> None:
        self.denoiser, self.calls, self.called = denoiser, calls, 0
        self.shape = denoiser.shape
        self.together = _TOGETHER if isinstance(denoiser, NetworkDenoiser) else None

    def __call__(self, x: Float[Tensor, "b d"], sigma: float) -> Float[Tensor, "b d"]:
        self.called += 1
        before = self.called % self.calls / self.calls
        with within(before, before + 1.0 / self.calls):
            if self.together is None or len(x) <= self.together:
                return self.denoiser(x, sigma)
            parts = []
            for part in x.split(self.together):
                parts.append(self.denoiser(part, sigma))
                heartbeat(min(len(parts) * self.together / len(x), 1.0))
            return torch.cat(parts)


def check_size(sampling: Sampling, shape: ImageShape) -> None:
    """Refuse a trajectory over 2 GB. Raises TooLarge."""
    need = 2 * 4 * sampling.steps * sampling.count * shape.d
    if need > LARGEST:
        what = f"A trajectory of {sampling.count} images of {shape} in {sampling.steps} steps"
        raise TooLarge(what, need, LARGEST, "Draw fewer images at a time, or in fewer steps.")


def _key(model: Model, sampling: Sampling) -> dict[str, Any]:
    own = {"levels": levels_of(model, sampling)} if sampling.grid == OWN else {}
    return {"model": model.key(), "sampling": sampling.key(), **own, "version": VERSION}
