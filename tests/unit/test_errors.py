"""Every error says what was wrong, the value, what is allowed."""

from __future__ import annotations

import pytest

from locality import errors
from locality.errors import LocalityError, TooLarge, UnknownName


@pytest.mark.parametrize(
    ("known", "text"),
    [
        (["mnist", "cifar10"], "Unknown dataset 'cifar'. Did you mean 'cifar10'? Known: cifar10, mnist."),
        (["faces"], "Unknown dataset 'cifar'. Known: faces."),
        ([], "Unknown dataset 'cifar'. Known: none."),
    ],
)
def test_unknown_name_lists_what_exists(known: list[str], text: str) -> None:
    assert str(UnknownName("dataset", "cifar", known)) == text


@pytest.mark.parametrize(
    ("need", "budget", "sizes"),
    [
        (12_300_000_000, 4_000_000_000, "12.3 GB; the budget is 4 GB"),
        (2_000, 999, "2 KB; the budget is 999 bytes"),
        (5_250_000, 1_000, "5.25 MB; the budget is 1 KB"),
    ],
)
def test_too_large_names_need_budget_and_knob(need: int, budget: int, sizes: str) -> None:
    assert str(TooLarge("The covariance", need, budget, "Lower --first.")) == (
        f"The covariance needs {sizes}. Lower --first."
    )


def test_one_tree() -> None:
    classes = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]
    assert len(classes) == 9
    assert all(issubclass(value, LocalityError) for value in classes)
    assert issubclass(UnknownName, errors.BadInput)
