"""Shrink: correlations fade and variances stay."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from locality.dataset import Dataset
from locality.edits.parts.linear import filter_before
from locality.edits.parts.spec import EDITS, REMOVES_ALL, Closed, EditSpec, Stage, generator, transformed
from locality.linear.statistics import Statistics
from locality.linear.wiener import WienerFilter
from locality.specs import param

_BLOCK = 4096  # images per stream of noise, as many as are changed at a time


@EDITS.register("shrink")
@dataclass(frozen=True)
class Shrink(EditSpec):
    """A share of every pixel's variance becomes noise of its own: the covariance moves towards its diagonal."""

    heading: ClassVar[str] = "Shrink"
    about: ClassVar[str] = (
        r"x_0' = \mu + \sqrt{1-t}\,(x_0 - \mu) + \sqrt{t}\,\mathrm{diag}(S)^{1/2}\,\eta:\quad "
        r"S' = (1-t)\,S + t\,\mathrm{diag}(S)"
    )
    main: ClassVar[str] = "strength"
    symbol: ClassVar[str] = "t"
    place: ClassVar[int] = 10
    examples: ClassVar[tuple[str, ...]] = ("shrink:strength=0.5", "shrink:strength=1")
    dial: ClassVar[str] = "strength"
    closed: ClassVar[Closed] = "expected"
    named: ClassVar[tuple[str, ...]] = ("strength",)

    strength: float = param(0.5, help="Share t of the variance replaced by noise.", low=0.0, high=1.0)
    seed: int = param(0, help="Seed of the noise.", low=0, high=2**31 - 1)

    def conflicts(self, earlier: EditSpec) -> str:
        return REMOVES_ALL if self.strength == 1.0 else ""

    def images(self, data: Dataset, stage: Stage) -> Dataset:
        wiener = filter_before(stage)
        mean, scale = wiener.mean.float(), _deviations(wiener)

        def change(x0: torch.Tensor, rows: slice) -> torch.Tensor:
            draws = generator(self, self.seed + 2**31 * (rows.start // _BLOCK), data.split)
            noise = torch.from_numpy(draws.standard_normal((len(x0), data.shape.d), dtype="float32"))
            return mean + math.sqrt(1 - self.strength) * (x0 - mean) + math.sqrt(self.strength) * scale * noise

        return transformed(data, change)

    def statistics(self, before: Statistics, stage: Stage) -> Statistics | None:
        return replace(before, cov=torch.lerp(before.cov, torch.diag(before.cov.diagonal()), self.strength))


def _deviations(wiener: WienerFilter) -> torch.Tensor:
    """Standard deviation of every coordinate, float32 [d]."""
    return (wiener.eigvecs.double().square() @ (wiener.eigvals - wiener.rest) + wiener.rest).sqrt().float()
