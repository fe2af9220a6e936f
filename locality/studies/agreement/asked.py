"""Fields of models at some pixels: one after the other here, or as tasks of a cluster's workers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from locality.cluster.compute import ClusterCompute
from locality.cluster.tasks import Errand, in_turn
from locality.datasets import Source
from locality.device import Compute
from locality.errors import CheckpointMismatch
from locality.fields.rows import NoisyImages, rows
from locality.store import Store
from locality.store.artifact import canonical
from locality.studies.agreement.members import Member, find_members
from locality.studies.agreement.plan import AgreementPlan
from locality.studies.fields.draws import Draws
from locality.types import Denoiser, Pixel
from locality.work import finish


class Asked(NamedTuple):
    """One model, or one initialisation of it, at a noise level and some pixels, in its first draws."""

    model: int
    number: int
    sigma: float
    pixels: tuple[Pixel, ...]
    draws: int


def fields_here(
    source: Source,
    every: Sequence[Sequence[Denoiser]],
    asked: Sequence[Asked],
    plan: AgreementPlan,
    compute: Compute,
) -> Iterator[Float[Tensor, "p k q"]]:
    """The fields, as they are asked for."""
    noisy = Draws(plan.draws, plan.seed).of(source, compute.device)
    return (_fields(every[one.model][one.number], one, noisy, compute) for one in asked)


def fields_there(
    source: Source,
    members: Sequence[Member],
    asked: Sequence[Asked],
    plan: AgreementPlan,
    store: Store,
    compute: ClusterCompute,
) -> Iterator[Float[Tensor, "p k q"]]:
    """The same fields, on the workers.

    Raises:
        DataUnavailable, UnknownName, CheckpointMismatch, DigestMismatch: a worker has not these images and models.
    """
    errand = Errand.of(source, store, compute)
    names = tuple((member.name, canonical(member.key())) for member in members)
    items = [(errand, names, plan, one) for one in asked]
    return map(torch.from_numpy, in_turn(compute, _task, items))


def _fields(denoiser: Denoiser, one: Asked, noisy: NoisyImages, compute: Compute) -> Float[Tensor, "p k q"]:
    """Summed over channels; a field that is known is the same in all draws."""

    def first(sigma: float) -> Float[Tensor, "k d"]:
        return noisy(sigma)[: one.draws]

    found = rows(denoiser, one.pixels, one.sigma, first, batch=compute.draws).summed().float().cpu()
    return found.expand(-1, one.draws, -1)


def _task(errand: Errand, names: tuple[tuple[str, str], ...], plan: AgreementPlan, one: Asked) -> NDArray[np.float32]:
    denoisers = _open(errand, names, plan, one.model)
    noisy = Draws(plan.draws, plan.seed).of(errand.source, "cpu")
    found: NDArray[np.float32] = _fields(denoisers[one.number], one, noisy, errand.compute).numpy()
    return found


@lru_cache(maxsize=4)
def _open(errand: Errand, names: tuple[tuple[str, str], ...], plan: AgreementPlan, model: int) -> tuple[Denoiser, ...]:
    """A model's denoisers, opened once on a worker."""
    store, source = errand.store, errand.source
    member = find_members(source, [name for name, _ in names], plan.seed, seeds=plan.seeds, store=store)[model]
    if canonical(member.key()) != names[model][1]:
        raise CheckpointMismatch(f"{member.name} is another model there. Copy the same files to all machines.")
    return finish(member.open_all(store=store, compute=errand.compute))
