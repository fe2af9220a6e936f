"""How long a grid of cells still takes, from the cells that are finished, wherever those were made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from statistics import median

from locality.studies.benchmark.cells import Cell

_GUESS = 0.1  # seconds an image takes in a cell before any is finished


class Pace:
    """Seconds spent on cells and expected for others, image by image."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], list[float]] = {}
        self.spent, self.finished = 0.0, 0

    def add(self, cell: Cell, seconds: float) -> None:
        """A finished cell, made now or before."""
        self._known.setdefault(cell.sort, []).append(seconds / len(cell.images))
        self.spent += seconds
        self.finished += 1

    def expected(self, cell: Cell) -> float:
        """Seconds of a cell that is to be made: as this model's others of the kind, else as other models'."""
        return self.left([cell])

    def left(self, missing: Iterable[Cell]) -> float:
        """Seconds of all these."""
        images: Counter[tuple[str, str]] = Counter()
        for cell in missing:
            images[cell.sort] += len(cell.images)
        return sum(self._each(sort) * count for sort, count in images.items())

    def _each(self, sort: tuple[str, str]) -> float:
        """Seconds an image."""
        own = self._known.get(sort)
        if own is None:
            own = [one for (_, kind), each in self._known.items() if kind == sort[1] for one in each]
        return median(own) if own else _GUESS
