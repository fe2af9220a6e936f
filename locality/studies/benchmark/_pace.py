"""How long a grid of cells still takes, from the cells that are finished, wherever those were made."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from locality.studies.benchmark._cells import Cell

_GUESS = 1.0  # seconds of a cell before any is finished


class Pace:
    """Seconds spent on cells and expected for others, image by image."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], list[float]] = {}
        self.spent, self.finished = 0.0, 0

    def add(self, cell: Cell, seconds: float) -> None:
        """A finished cell, made now or before."""
        self._known.setdefault(_sort(cell), []).append(seconds / len(cell.images))
        self.spent += seconds
        self.finished += 1

    def expected(self, cell: Cell) -> float:
        """Seconds of a cell that is to be made: as this model's others of the kind, else as other models'."""
        own = self._known.get(_sort(cell))
        if own is None:
            own = [one for (_, kind), each in self._known.items() if kind == _sort(cell)[1] for one in each]
        return median(own) * len(cell.images) if own else _GUESS

    def left(self, missing: Iterable[Cell]) -> float:
        """Seconds of all these."""
        return sum(self.expected(cell) for cell in missing)


def _sort(cell: Cell) -> tuple[str, str]:
    return cell.entrant.name, cell.kind if cell.extractor is None else cell.extractor.name
