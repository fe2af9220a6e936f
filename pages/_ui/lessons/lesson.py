"""What a lesson is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from pages._ui.lessons.guess import Guess


def signed(number: str) -> str:
    """A number with a minus sign where it has a hyphen."""
    return number.replace("-", "−")


@dataclass(frozen=True)
class Result:
    """Our number: a value with its standard error, what it is and where it is from (both with the marks of `words.py`).

    `error` nan: the number is exact.
    """

    value: float
    error: float
    what: str
    source: str
    unit: str = ""
    digits: int = 3

    def __str__(self) -> str:
        spread = "" if math.isnan(self.error) else f" ± {self.error:.{self.digits}f}"
        return signed(f"{self.value:.{self.digits}f}{spread}{f' {self.unit}' if self.unit else ''}")


@dataclass(frozen=True)
class Figure:
    """What the browser draws, computed by the library.

    `data` (JSON) and `arrays` are the figure's own; `answer` is that of the guess; `facts` fill the `{name}` of the
    lesson's texts; `guess` replaces fields of the question that depend on the data.
    """

    answer: Any
    result: Result
    data: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    guess: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Lesson:
    """One claim and how it is taught. `title` and `summary` are plain text, the others texts with facts and words
    (see `words.py`)."""

    number: int
    title: str
    minutes: float
    summary: str  # one sentence for the list of lessons
    claim: str  # what is claimed, and what the symbols are: before the guess
    guess: Guess
    answer: str  # what the figure shows now, and why
    trying: str  # one thing to do with the figure
    seen: str  # what is seen then, in a fold
    not_shown: str  # one sentence on what this does not show
    figure: Callable[[], Figure]
    script: Path

    @property
    def address(self) -> str:
        """Where it is, below the app's address."""
        return f"lesson-{self.number}"
