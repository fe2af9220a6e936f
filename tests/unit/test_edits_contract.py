"""Every registered edit meets its contracts: its images are held to its statistics, whoever wrote it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest

from locality.checks import EDIT_CHECKS, check_edit
from locality.checks.edits import edit_case
from locality.dataset import Dataset
from locality.edits import EDITS, EditSpec, Stage
from locality.linear.statistics import Statistics
from locality.specs import param

MET = [(text, name) for text in EDITS.examples() for name in EDIT_CHECKS.of(EDITS.parse(text))]


@pytest.mark.parametrize(("text", "name"), MET)
def test_edits_meet_their_contracts(text: str, name: str) -> None:
    with edit_case(EDITS.parse(text)) as case:
        EDIT_CHECKS.run(name, case)


# --- what the contracts catch


@contextmanager
def faded(*, mean: float = 1.0, cov: float = 1.0, closed: str = "exact", later: float = 0.0) -> Generator[None]:
    """An edit x0' = s x0 whose statistics are off by factors, and whose later images by a shift."""

    @EDITS.register("faded")
    @dataclass(frozen=True)
    class Faded(EditSpec):
        """Every value is multiplied by s."""

        heading: ClassVar[str] = "Fade"
        about: ClassVar[str] = r"x_0' = s\,x_0"
        main: ClassVar[str] = "size"
        dial: ClassVar[str] = "size"
        symbol: ClassVar[str] = "s"
        examples: ClassVar[tuple[str, ...]] = ("faded:size=0.5",)

        size: float = param(0.5, help="Factor s.", low=0.0, high=1.0)

        def images(self, data: Dataset, stage: Stage) -> Dataset:
            x0 = data.x0(slice(None)) * self.size
            return replace(data, data=x0 + later * len(data) / 1000)

        def statistics(self, before: Statistics, stage: Stage) -> Statistics | None:
            s = self.size
            return Statistics(before.count, mean * s * before.mean, cov * s**2 * before.cov)

    Faded.closed = closed  # type: ignore[assignment]
    try:
        yield
    finally:
        del EDITS._classes["faded"]


def test_a_sound_edit_passes() -> None:
    with faded():
        check_edit("faded:size=0.25")


@pytest.mark.parametrize(
    ("fault", "fails"),
    [
        ({"mean": 1.001}, "mean_is_that_of_its_images"),
        ({"cov": 1.001}, "covariance_is_that_of_its_images"),
        ({"cov": 1.2, "closed": "expected"}, "statistics_are_those_of_many_images"),
        ({"closed": "none"}, "says_how_its_statistics_are_known"),
        ({"later": 0.01}, "images_do_not_depend_on_those_behind"),
    ],
)
def test_a_fault_is_found_by_the_contract_it_breaks(fault: dict[str, object], fails: str) -> None:
    wrong = pytest.raises(AssertionError, match=rf"fails {fails}: .*\w")
    with faded(**fault), edit_case(EDITS["faded"]()) as case, wrong:  # type: ignore[arg-type]
        EDIT_CHECKS.run(fails, case)
