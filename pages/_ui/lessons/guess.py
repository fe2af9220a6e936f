"""What a student may be asked to predict: each kind is a widget of the same name in `guess.js`.

`question` is a text with marks (see `words.py`), everything else plain text. The answer is not here: the figure
computes it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Guess:
    """A question; `kind` names the widget."""

    question: str

    def head(self) -> dict[str, Any]:
        """What the browser reads."""
        return {**asdict(self), "kind": type(self).__name__.lower()}


@dataclass(frozen=True)
class Pick(Guess):
    """Choose one of the options, or `several` of them. Answer: an index; or a sorted list of them."""

    options: tuple[str, ...]
    several: int = 1
    across: int = 0  # cards side by side on a wide screen; 0: three or four


@dataclass(frozen=True)
class Match(Guess):
    """Give each of the items a name, each once. Answer: for every item, in order, the index of its name."""

    items: tuple[str, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Order(Guess):
    """Put items in order; `ends` says what the first and the last are. Answer: indices of items, first to last."""

    items: tuple[str, ...]
    ends: tuple[str, str] = ("most", "least")


@dataclass(frozen=True)
class Number(Guess):
    """A number between two; right within `near`. Answer: the number."""

    label: str
    low: float
    high: float
    step: float
    near: float
    unit: str = ""


@dataclass(frozen=True)
class Draw(Guess):
    """Sketch one bar for each of the names, between two heights. Answer: the heights, which the figure draws."""

    label: str
    names: tuple[str, ...]
    low: float
    high: float


@dataclass(frozen=True)
class Point(Guess):
    """Point at a pixel of the picture that `ornament(0)` draws; right within `near` pixels. Answer: [row, column]."""

    label: str
    rows: int
    columns: int
    near: float
    start: tuple[int, int] = (0, 0)
