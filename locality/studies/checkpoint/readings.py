"""Other readings of a network's five facts: each differs in one of them, and says which in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from locality.errors import BadInput
from locality.networks import AdaptedDenoiser, Facts, NetworkDenoiser, PythonSpec
from locality.networks.adapter.facts import GIVES, TAKES
from locality.networks.checkpoints.spec import ExternalSpec
from locality.schedule import log_grid

_LEVELS = 6  # noise levels of a check
_VALUES = ((-1.0, 1.0), (0.0, 1.0), (-0.5, 0.5), (0.0, 255.0))
_FORMULAS = ("linear", "scaled_linear", "cosine")
_LABELS = (("index", "time", "fraction"), ("sigma", "log_sigma"))
_GIVEN = {"eps": "the noise eps", "x0": "x0", "v": "v", "residual": "the residual, noise in the image's units"}


@dataclass(frozen=True)
class Reading:
    """Facts that differ in one: `says` what looks to be true, `fact` how to state it."""

    says: str
    fact: str
    facts: Facts


@dataclass(frozen=True, eq=False)
class Lenient(AdaptedDenoiser):
    """Another reading may have other noise levels: beyond them it is told of the nearest."""

    def label(self, sigma: Float[Tensor, " b"]) -> Tensor | None:
        return self.facts.label_of(sigma.clamp(*self.facts.range))


def adapted(denoiser: NetworkDenoiser) -> AdaptedDenoiser | None:
    """The network with its facts; of diffusers and the Locality code too. None where there are none to read."""
    if isinstance(denoiser, AdaptedDenoiser):
        return denoiser
    if not isinstance(denoiser.spec, ExternalSpec):
        return None
    levels = tuple(denoiser.spec.timeline.ln_sigmas.exp().tolist())
    facts = Facts(schedule="sigma", levels=levels, label="time", gives=denoiser.spec.prediction)
    return AdaptedDenoiser(denoiser.net, PythonSpec(), denoiser.shape, facts)


def readings(facts: Facts) -> Iterator[Reading]:
    """Every other reading that differs in one fact and contradicts no other."""
    for says, changes in _changes(facts):
        try:
            other = replace(facts, **changes)
        except BadInput:  # the facts do not go together so
            continue
        yield Reading(says, ", ".join(f"{fact}={value!r}" for fact, value in changes.items()), other)


def _changes(facts: Facts) -> Iterator[tuple[str, dict[str, Any]]]:
    if facts.timeline is not None:
        for offset in (facts.offset - 1, facts.offset + 1):
            yield "the label is off by one", {"offset": offset}
        if facts.levels:
            yield "the steps are listed the wrong way round", {"levels": facts.levels[::-1]}
        for schedule in _FORMULAS:
            if facts.schedule in _FORMULAS and schedule != facts.schedule:
                yield f"the schedule is {schedule}", {"schedule": schedule}
    for kinds in _LABELS:
        for label in kinds:
            if facts.label in kinds and label != facts.label and {label, facts.label} != {"index", "time"}:
                yield f"the label is of the kind {label}", {"label": label}
    for values in _VALUES:
        if values != facts.values:
            yield f"the range is [{values[0]:g}, {values[1]:g}]", {"values": values}
    for takes in TAKES:
        if takes != facts.takes:
            scaled = "scaled by sqrt(alpha_bar)" if takes == "scaled" else "that are not scaled"
            yield f"this takes images {scaled}", {"takes": takes}
    for gives in GIVES:
        if gives != facts.gives:
            plain = gives.removeprefix("-")
            sign = "the negative of " if gives.startswith("-") else ""
            yield f"this predicts {sign}{_GIVEN.get(plain, plain)}", {"gives": gives}


def lenient(denoiser: AdaptedDenoiser, facts: Facts) -> Lenient:
    """The same network, read otherwise."""
    return Lenient(denoiser.net, denoiser.spec, denoiser.shape, facts)


def noise_levels(facts: Facts | None) -> list[float]:
    """Noise levels to check at, rising: evenly spaced in ln sigma, those of steps where noise has steps.

    Never the first or the last step: of these a label that is off by one may not exist.
    """
    low, high = 0.02, 20.0
    if facts is None:
        low, high = 0.1, 5.0
    elif facts.timeline is None:
        low, high = max(low, facts.range[0]), min(high, facts.range[1])
    else:
        inner = facts.timeline.ln_sigmas[1:-1] if len(facts.timeline.ln_sigmas) > 4 else facts.timeline.ln_sigmas
        wanted = torch.linspace(float(inner[0]), min(float(inner[-1]), torch.tensor(high).log().item()), _LEVELS)
        nearest = (inner[None] - wanted[:, None]).abs().argmin(dim=1).unique()
        return [float(level) for level in inner[nearest].exp()]
    return log_grid(low, high, _LEVELS)
