"""The competitors: the reference, the models, a second network and a control; and who is compared with whom."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from locality.datasets import Source
from locality.studies.benchmark.plan import BenchPlan
from locality.studies.benchmark.sampling import SamplingConfig
from locality.studies.models import Model

REFERENCE, SECOND, ANALYTIC, NETWORK, CONTROL = "reference", "ceiling", "analytic", "network", "control"
WIENER = "wiener"  # always included: held-out errors are reported as a ratio to its
MEAN = "mean"  # always included: what explains less than the mean image explains nothing
HELD_OUT = "held-out images"  # the control's name


@dataclass(frozen=True, eq=False)
class Competitor:
    """A row of the table: a model with its settings, or (`model` None) the held-out images as a control."""

    name: str
    kind: str
    sampling: SamplingConfig
    source: Source
    model: Model | None
    notes: tuple[str, ...] = ()

    @cached_property
    def key(self) -> dict[str, Any]:
        """Everything its estimates depend on."""
        if self.model is None:
            return {"held_out": self.source.held_out.fingerprint}
        return self.model.key()

    def images_key(self, images: range) -> dict[str, Any]:
        """Everything its final images depend on."""
        how = {} if self.model is None else {"walk": self.sampling.key()}
        return {"model": self.key, **how, "images": [images.start, images.stop]}


@dataclass(frozen=True)
class Group:
    """Entries of a preset, by name: the baseline and those that are compared with it."""

    preset: str
    baseline: str
    variants: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Setup:
    """A benchmark ready to run. `whole` is the dataset with all its training images."""

    source: Source
    whole: Source
    plan: BenchPlan
    reference: Competitor
    competitors: tuple[Competitor, ...]
    control: Competitor
    groups: tuple[Group, ...]
    notes: tuple[str, ...]

    def reference_for(self, competitor: Competitor) -> Competitor:
        """The reference sampled with a competitor's steps and clipping."""
        if competitor.sampling == self.reference.sampling:
            return self.reference
        return replace(self.reference, sampling=competitor.sampling)

    def second_for(self, competitor: Competitor) -> Competitor | None:
        """The second network sampled with a competitor's steps and clipping; None where there is none."""
        second = next((one for one in self.competitors if one.kind == SECOND), None)
        return None if second is None else replace(second, sampling=competitor.sampling)

    @property
    def levels(self) -> list[float]:
        """The noise levels of the sampling steps, decreasing."""
        return self.reference.sampling.sigmas()

    @property
    def everyone(self) -> tuple[Competitor, ...]:
        return (self.reference, *self.competitors, self.control)

    @property
    def held_out(self) -> int:
        """Held-out images that are denoised and that make the control."""
        return min(self.plan.count, len(self.source.held_out))
