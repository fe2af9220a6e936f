"""Shifts between a noisy image and the candidates, along one axis."""

from __future__ import annotations

from typing import NamedTuple


class Move(NamedTuple):
    """What is seen of the query is compared with what lies `by` further in the candidates; `answered` are the places
    whose windows are summed, cut where nothing is seen.
    """

    seen: slice
    by: int
    answered: slice

    @property
    def there(self) -> slice:
        """Of the candidates, what the query is compared with."""
        return slice(self.seen.start + self.by, self.seen.stop + self.by)

    @property
    def centre(self) -> slice:
        """Of the candidates, the middles of the windows."""
        return slice(self.answered.start + self.by, self.answered.stop + self.by)


def round_moves(n: int) -> list[Move]:
    """All shifts on a circle of n places; beyond its end the candidates are repeated."""
    every = slice(0, n)
    return [Move(every, by, every) for by in range(n)]


def inner_moves(n: int, size: int) -> list[Move]:
    """Shifts that take a place to one of the same border type: inner places to inner ones, others nowhere."""
    margin, found = size // 2, []
    for by in range(2 * margin + 1 - n, n - 2 * margin):
        seen = slice(max(0, -by), n - max(0, by))
        answered = slice(max(margin, margin - by), n - max(margin, margin + by)) if by else slice(0, n)
        found.append(Move(seen, by, answered))
    return found
