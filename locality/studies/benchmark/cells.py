"""The cells of the grid: one model, one kind of measurement, up to 16 images. Each is a function of its key alone.

own         its images, drawn from noise, beside the reference's from the same noise
trajectory  its estimates at the reference's noisy images, beside the reference's estimates there
beside      its images beside the second network's from the same noise
held_out    squared errors on noisy held-out images
levels      the same at the noise levels of the sampling steps
nearest     distances of its images to the training images
features    what an extractor reads off its images
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from locality.features import as_8bit
from locality.metrics import SCORES, explained, pearson, squared_error, squared_error01
from locality.store import Artifact, digest
from locality.studies.benchmark.competitors import CONTROL, REFERENCE, SECOND, Competitor, Setup
from locality.studies.benchmark.extractors import Extractor
from locality.studies.benchmark.metrics import (
    BESIDE,
    FEATURES,
    HELD_OUT,
    LEVELS,
    NEAREST,
    OWN,
    TRAJECTORY,
    score_cell,
    scores_of,
)
from locality.studies.benchmark.sampling import chunks
from locality.types import ImageShape

WALK, VERSION = "bench-walk", 1


@dataclass(frozen=True, eq=False)
class Cell:
    """A finished cell is never computed again: its artefact is in the store, under its key."""

    competitor: Competitor
    kind: str
    images: range
    key: dict[str, Any]
    extractor: Extractor | None = None

    @property
    def store_kind(self) -> str:
        return f"bench-{self.kind}"

    @cached_property
    def address(self) -> str:
        return digest(self.store_kind, self.key)

    @cached_property
    def sort(self) -> tuple[str, str]:
        """Cells that take about as long."""
        return self.competitor.name, self.kind if self.extractor is None else self.extractor.name

    @property
    def label(self) -> str:
        """For people: what is being measured."""
        what = self.kind.replace("_", " ") if self.extractor is None else self.extractor.name
        return f"{self.competitor.name}: {what}, images {self.images.start + 1}-{self.images.stop}"


def drawn_key(competitor: Competitor, images: range) -> dict[str, Any]:
    """Key of a model's images with all their steps: they do not depend on the reference."""
    return {**competitor.images_key(images), "version": VERSION}


def cells(setup: Setup, extractors: Sequence[Extractor]) -> list[Cell]:
    """All cells, in the order of work: the first images of every competitor, then the others model by model.

    So there is a table early on, and every model's pace is known; and no model is opened more than twice.
    """
    found: list[Cell] = []
    for first in (True, False):
        # The second network is early: others stand beside its images, and no model waits open while it draws.
        for competitor in sorted(setup.everyone, key=lambda one: (one.kind != REFERENCE, one.kind != SECOND)):
            count = setup.held_out if competitor.kind == CONTROL else setup.plan.count
            parts = chunks(count)
            its = [cell for i in (parts[:1] if first else parts[1:]) for cell in _of(setup, competitor, i, extractors)]
            found += sorted(its, key=lambda cell: cell.kind == BESIDE)  # for these the second network may be opened
    return found


def _of(setup: Setup, competitor: Competitor, images: range, extractors: Sequence[Extractor]) -> Iterator[Cell]:
    drawn = competitor.images_key(images)
    if competitor.kind != CONTROL:
        target = setup.reference_for(competitor).images_key(images)
        yield Cell(competitor, OWN, images, _key(drawn=drawn, target=target))
        if competitor.kind != REFERENCE:
            yield Cell(competitor, TRAJECTORY, images, _key(model=competitor.key, target=target))
            for name, cls in SCORES.items():
                yield Cell(competitor, score_cell(name), images, _key(drawn=drawn, target=target, metric=cls().key()))
        judged = range(images.start, min(images.stop, setup.held_out))
        if judged:
            noisy = {"held_out": setup.control.key["held_out"], "images": [judged.start, judged.stop]}
            how = {"sigmas": list(setup.plan.sigmas), "seed": setup.plan.seed}
            yield Cell(competitor, HELD_OUT, judged, _key(model=competitor.key, **noisy, **how))
            how = {"sigmas": setup.levels, "seed": setup.plan.seed}
            yield Cell(competitor, LEVELS, judged, _key(model=competitor.key, **noisy, **how))
        second = setup.second_for(competitor)
        if second is not None and competitor.kind != SECOND:
            yield Cell(competitor, BESIDE, images, _key(drawn=drawn, target=second.images_key(images)))
    yield Cell(competitor, NEAREST, images, _key(drawn=drawn, training=competitor.source.fingerprint))
    for extractor in extractors:
        yield Cell(competitor, FEATURES, images, _key(drawn=drawn, extractor=extractor.key), extractor)


def _key(**facts: Any) -> dict[str, Any]:
    return {**facts, "version": VERSION}


def score_steps(
    estimates: Float[Tensor, "s k d"], targets: Float[Tensor, "s k d"], names: Sequence[str]
) -> dict[str, Tensor]:
    """Scores of every step [s k], float64: some of r2, pearson, mse and mse01."""
    each = {"r2": explained, "pearson": pearson, "mse": squared_error, "mse01": squared_error01}
    pairs = list(zip(estimates, targets, strict=True))
    return {name: torch.stack([each[name](a, u) for a, u in pairs]) for name in names}


def own_artifact(drawn: Artifact, target: Artifact, shape: ImageShape) -> Artifact:
    """Scores of a model's trajectory against the reference's, and its images as they would be saved."""
    x0_hat = drawn.arrays["x0_hat"]
    scores = score_steps(x0_hat, target.arrays["x0_hat"], list(scores_of(OWN)))
    return Artifact({**scores, "image": as_8bit(x0_hat[-1], shape).flatten(1)}, dict(drawn.meta))
