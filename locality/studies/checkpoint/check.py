"""A network on held-out images, as it was described and as it might be: errors over the Wiener filter's."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from locality.datasets import Source
from locality.errors import BadInput
from locality.metrics import denoising_errors
from locality.networks import AdaptedDenoiser, Facts, NetworkDenoiser
from locality.store import Store
from locality.studies.checkpoint.readings import Reading, adapted, lenient, noise_levels, readings
from locality.studies.models import fit_wiener
from locality.types import Denoiser
from locality.work import Progress

IMAGES, FEW = 128, 32  # held-out images of the table, and of the first look at every other reading
CLEARLY = 0.01  # another reading is better where its error is lower by this, as a mean of ln over the noise levels
_SURELY = 4.0  # ... and by this many standard errors
_ROUNDS = 3  # facts that may be wrong at once
WORST = 3.0  # error over Wiener's, as a geometric mean: beyond it something is wrong


@dataclass(frozen=True, eq=False)
class Checked:
    """Mean held-out error over the Wiener filter's by noise level, and what another reading would give.

    `better`: readings that fit better, each building on those before it; `fixed`: the ratios with all of them.
    """

    dataset: str
    images: int
    sigmas: list[float]
    ratios: list[float]
    better: list[Reading]
    fixed: list[float]

    @property
    def problem(self) -> str:
        """What is wrong, with what to state instead; "" for nothing."""
        if self.better:
            says = " and ".join(reading.says for reading in self.better)
            fact = ", ".join(reading.fact for reading in self.better)
            gain = f"{_mean(self.fixed):.3g} times Wiener's instead of {_mean(self.ratios):.3g}"
            return f"It looks like {says}: with {fact} its error on {self.dataset} is {gain}."
        if _mean(self.ratios) > WORST:
            return (
                f"Its error on {self.dataset} is {_mean(self.ratios):.3g} times the Wiener filter's, and no other "
                "reading of a single fact mends it. Is it trained, on these images? Check the schedule and its steps."
            )
        return ""

    def summary(self) -> dict[str, Any]:
        """As plain JSON values."""
        about = {"dataset": self.dataset, "images": self.images, "sigmas": self.sigmas, "error_ratio": self.ratios}
        looks = [{"says": one.says, "fact": one.fact} for one in self.better]
        return {**about, "problem": self.problem, "looks_like": looks, "error_ratio_then": self.fixed}


def check_network_on(
    source: Source, denoiser: NetworkDenoiser, *, store: Store | None = None
) -> Generator[Progress, None, Checked]:
    """Held-out error at six noise levels, over the Wiener filter's, and the readings of its facts that fit better.

    Raises:
        BadInput: images of another shape. DataUnavailable: they are not on this machine.
    """
    if source.shape != denoiser.shape:
        raise BadInput(f"The network takes {denoiser.shape} images; those of {source.text} are {source.shape}.")
    x0 = source.held_out.x0(slice(0, IMAGES))
    wiener = yield from fit_wiener(source, store=store)
    read = adapted(denoiser)
    sigmas = noise_levels(read.facts if read else None)
    yield Progress(0.0, 1.0, "Held-out error")
    reference = _errors(wiener, x0, sigmas)
    own = _errors(denoiser, x0, sigmas)
    better: list[Reading] = []
    fixed = own
    while read is not None and len(better) < _ROUNDS:
        found = yield from _better(read, x0, sigmas, fixed)
        if found is None:
            break
        better.append(found[0])
        read, fixed = lenient(read, found[0].facts), found[1]
    over, then = (_ratios(errors, reference) for errors in (own, fixed))
    if not _mends(_mean(over), _mean(then)):
        better = []
    return Checked(source.text, len(x0), sigmas, over, better, then if better else [])


def _mends(before: float, after: float) -> bool:
    """Whether an error is good, or far better: of a network that is bad either way nothing can be told."""
    return after < WORST or after < before / 3


def _better(
    read: AdaptedDenoiser, x0: Float[Tensor, "n d"], sigmas: list[float], own: Float[Tensor, "s n"]
) -> Generator[Progress, None, tuple[Reading, Float[Tensor, "s n"]] | None]:
    """The reading that fits best, if it is clearly better: a few images tell which are worth a closer look."""
    others = list(readings(read.facts))
    gains = []
    for i, other in enumerate(others):
        yield Progress(i, len(others) + 1, f"Held-out error if {other.says}")
        gains.append(_gain(_errors(lenient(read, other.facts), x0[:FEW], sigmas), own[:, :FEW])[0])
    for i in sorted(range(len(others)), key=gains.__getitem__, reverse=True)[:2]:
        if gains[i] > CLEARLY / 2:
            errors = _errors(lenient(read, others[i].facts), x0, sigmas)
            gain, sure = _gain(errors, own)
            if gain > CLEARLY and sure > _SURELY and not _either_way(read.facts, others[i].facts, others, gains):
                return others[i], errors
    return None


def _either_way(now: Facts, other: Facts, others: list[Reading], gains: list[float]) -> bool:
    """Whether a label that is off by one the other way helps as well: then it tells how well the steps are learned."""
    opposite = 2 * now.offset - other.offset
    pairs = zip(others, gains, strict=True)
    return other.offset != now.offset and any(gain > 0 for one, gain in pairs if one.facts.offset == opposite)


def _errors(denoiser: Denoiser, x0: Float[Tensor, "n d"], sigmas: list[float]) -> Float[Tensor, "s n"]:
    """Squared errors by noise level and image; infinite where it does not run (a label that it has no row for)."""
    try:
        return torch.stack([denoising_errors(denoiser, x0, sigma, batch=64) for sigma in sigmas]).nan_to_num(math.inf)
    except (IndexError, RuntimeError):
        return torch.full((len(sigmas), len(x0)), math.inf, dtype=torch.float64)


def _gain(errors: Float[Tensor, "s n"], own: Float[Tensor, "s n"]) -> tuple[float, float]:
    """How much lower the errors are, as a mean of ln over the noise levels; and in standard errors, over images."""
    if not bool(errors.isfinite().all()):
        return (-math.inf, 0.0) if bool(own.isfinite().all()) else (0.0, 0.0)
    if not bool(own.isfinite().all()):
        return math.inf, math.inf
    means = own.mean(dim=1), errors.mean(dim=1)
    gain = float((means[0].log() - means[1].log()).mean())
    scores = ((own - errors) / means[0][:, None]).mean(dim=0)
    return gain, float(scores.mean() / (scores.std() / math.sqrt(len(scores))).clamp(min=1e-30))


def _ratios(errors: Float[Tensor, "s n"], reference: Float[Tensor, "s n"]) -> list[float]:
    return [float(one) for one in errors.mean(dim=1) / reference.mean(dim=1)]


def _mean(ratios: list[float]) -> float:
    """Geometric mean."""
    return math.exp(sum(math.log(max(ratio, 1e-300)) for ratio in ratios) / len(ratios))
