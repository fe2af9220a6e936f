"""Results of all pieces merged two by two, wherever they are; what a lost worker had is made again by others."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from locality.cluster.held import Rows
from locality.cluster.shards import Shards

if TYPE_CHECKING:
    from distributed import Future

Leaf = Callable[[str, Rows], "Future[Any]"]


@dataclass(frozen=True, eq=False)
class Part:
    """A result over some rows, ready or on its way, on one worker; `inputs` are what it merges."""

    worker: str
    rows: tuple[Rows, ...]
    future: Future[Any]
    inputs: tuple[Part, ...] = ()


class Reduction:
    """Parts merge in any order: the merge must not care. Of a worker that is lost, its rows are done again elsewhere.

    Args:
        leaf: submits the work on rows held by a worker.
        merge: a function of two results, run where the first one is.
        step: rows of one leaf at most, 0 for whole pieces.
    """

    def __init__(self, shards: Shards, leaf: Leaf, merge: Callable[[Any, Any], Any], step: int = 0) -> None:
        self.shards, self.team = shards, shards.team
        self._leaf, self._merge, self._step = leaf, merge, step
        self.running: list[Part] = []
        self.ready: list[Part] = []
        self.crossed = 0  # merges of two workers' results: each sends one

    def run(self) -> Generator[float, None, Any]:
        """The result over all rows; yields the share of the rows that is done."""
        self.shards.mend()  # one may have been lost while something else ran
        every = [(worker, rows) for worker, pieces in self.shards.pieces.items() for rows in pieces]
        total = sum(b - a for _, (a, b) in every)
        self._start(every)
        try:
            while self.running or len(self.ready) > 1:
                self.team.wait([part.future for part in self.running])
                bad = self._sort_out()
                if bad or self._lost():
                    self._recover(bad)
                self._pair()
                left = sum(b - a for part in self.running if not part.inputs for a, b in part.rows)
                yield 1.0 - left / total
                if not self.running and len(self.ready) == 1:
                    if (found := self.team.result(self.ready[0].future)) is not None:
                        return found
                    self._recover(self.ready)
        finally:
            self.team.drop([part.future for part in (*self.running, *self.ready)])

    def _sort_out(self) -> list[Part]:
        """Make ready what is finished; those that will not be, because a worker was lost. Raises what they raised."""
        bad = []
        for part in list(self.running):
            status = part.future.status
            if status == "finished":
                self.running.remove(part)
                self.ready.append(replace(part, inputs=()))  # so that what was merged is let go
            elif status != "pending" and self.team.result(part.future) is None:
                bad.append(part)
        return bad

    def _lost(self) -> bool:
        parts = (*self.running, *self.ready)
        return any(one.worker not in self.team.members for part in parts for one in (part, *part.inputs))

    def _start(self, pieces: Sequence[tuple[str, Rows]]) -> None:
        for worker, (start, stop) in pieces:
            step = self._step or stop - start
            for at in range(start, stop, step):
                rows = (at, min(at + step, stop))
                self.running.append(Part(worker, (rows,), self._leaf(worker, rows)))

    def _pair(self) -> None:
        """Merge what one worker has; what two have once no leaf is running, so that as little as can be is sent."""
        while (pair := self._of_one_worker()) or (pair := self._of_two()):
            one, other = pair
            self.crossed += one.worker != other.worker
            self.ready = [part for part in self.ready if part not in pair]
            future = self.team.submit(one.worker, _merged, self._merge, one.future, other.future, priority=1)
            self.running.append(Part(one.worker, one.rows + other.rows, future, pair))

    def _of_one_worker(self) -> tuple[Part, Part] | None:
        for i, one in enumerate(self.ready):
            for other in self.ready[:i]:
                if one.worker == other.worker:
                    return other, one
        return None

    def _of_two(self) -> tuple[Part, Part] | None:
        if len(self.ready) < 2 or any(not part.inputs for part in self.running):
            return None
        return self.ready[0], self.ready[1]

    def _recover(self, bad: Sequence[Part]) -> None:
        """Keep what the others have, and do the rows of all else again."""

        def well(part: Part) -> bool:
            return part.worker in self.team.members and part not in bad

        parts, self.running, self.ready = (*self.running, *self.ready), [], []
        again: list[Part] = []
        for part in parts:
            if well(part) and all(map(well, part.inputs)):
                (self.running if part.inputs or part.future.status != "finished" else self.ready).append(part)
                continue
            self.team.drop([part.future])
            for one in part.inputs or (part,):
                (self.ready if part.inputs and well(one) else again).append(one)
        self.shards.mend()
        self._start([held for part in again for rows in part.rows for held in self.shards.holders(rows)])


def in_order(shards: Shards, leaf: Leaf, ranges: Sequence[Rows]) -> Iterator[Any]:
    """The results of leaves on rows that no piece divides, in order; None now and then while one is waited for."""
    team, running = shards.team, dict[Rows, tuple[str, "Future[Any]"]]()
    try:
        for rows in ranges:
            found = None
            while found is None:
                shards.mend()
                for todo in ranges[ranges.index(rows) :]:
                    ((worker, _),) = shards.holders(todo)
                    if running.get(todo, ("",))[0] != worker:
                        running[todo] = worker, leaf(worker, todo)
                future = running[rows][1]
                team.wait([future])
                if future.status == "pending":
                    yield None
                elif (found := team.result(future)) is None:
                    del running[rows]
            team.drop([running.pop(rows)[1]])
            yield found
    finally:
        team.drop([future for _, future in running.values()])


def _merged(merge: Callable[[Any, Any], Any], one: Any, other: Any) -> Any:
    """Failures pass through: whoever asked for the result raises the first."""
    from locality.cluster.held import Failure

    return next((part for part in (one, other) if isinstance(part, Failure)), None) or merge(one, other)
