"""Every registered metric meets its contracts, and what these catch; those from outside are held to them elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, Literal

import pytest
import torch
from torch import Tensor

from locality.checks import METRIC_CHECKS, MetricCase, check_metric
from locality.metrics import SCORES, ScoreSpec, squared_error
from locality.types import ImageShape

Scores = Callable[[Tensor, Tensor], Tensor]


@contextmanager
def metric(scores_: Scores, better_: Literal["higher", "lower"] = "lower") -> Iterator[ScoreSpec]:
    """A metric that exists for one test."""

    @SCORES.register("made_up")
    @dataclass(frozen=True)
    class MadeUp(ScoreSpec):
        """A metric of a test."""

        heading: ClassVar[str] = "Made up"
        about: ClassVar[str] = "mean squared difference"
        better: ClassVar[Literal["higher", "lower"]] = better_
        examples: ClassVar[tuple[str, ...]] = ("made_up",)

        def scores(self, estimate: Tensor, target: Tensor, shape: ImageShape) -> Tensor:
            return scores_(estimate, target)

    try:
        yield MadeUp()
    finally:
        del SCORES._classes["made_up"]


def test_registered_metrics_meet_their_contracts() -> None:
    with metric(squared_error):  # the package has none of its own yet: R2 and the like are rows of the benchmark
        for text in SCORES.examples():
            check_metric(text)


def test_a_sound_metric_passes() -> None:
    with metric(squared_error) as spec:
        check_metric(spec)


@pytest.mark.parametrize(
    ("scores", "fails"),
    [
        (lambda a, u: squared_error(a, u).float(), "scores_are_one_number_each"),
        (lambda a, u: squared_error(a, u)[:, None], "scores_are_one_number_each"),
        (lambda a, u: squared_error(a, u) / 0, "scores_are_one_number_each"),
        (lambda a, u: squared_error(a.mul_(2), u), "scores_are_one_number_each"),
        (lambda a, u: squared_error(a, u) - squared_error(a, u).mean(), "images_do_not_meet"),
        (lambda a, u: squared_error(a, u) + torch.rand(()), "images_do_not_meet"),
        (lambda a, u: -squared_error(a, u), "the_better_end_is_the_better_one"),
    ],
)
def test_a_fault_is_found_by_the_contract_it_breaks(scores: Scores, fails: str) -> None:
    with metric(scores) as spec, pytest.raises(AssertionError, match=rf"fails {fails}: .*\w"):
        METRIC_CHECKS.run(fails, MetricCase(spec))
