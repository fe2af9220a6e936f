"""Where the rows of a training set are: contiguous pieces, each on one worker, that move when a worker is lost."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from locality.cluster.facts import Facts
from locality.cluster.held import Rows, digest_of, read_rows, take_rows
from locality.cluster.team import Team
from locality.dataset import Images
from locality.datasets import Source
from locality.errors import TooLarge

GRAIN = 256  # images that stay together
_WORK = 2.0  # a piece is cut out of what was read, and averaged in parts


class Shards:
    """The training images of one set on a team. `key` names them on the workers."""

    def __init__(self, team: Team, images: Images, bounds: Sequence[int] = ()) -> None:
        """`bounds`: rows at which pieces may begin and end; multiples of a few hundred by default."""
        self.team, self.images, self.key = team, images, images.fingerprint
        n = len(images.train)
        self.bounds = list(bounds) or [*range(0, n, max(1, min(GRAIN, n // 64))), n]
        self.pieces: dict[str, list[Rows]] = {}
        self.sent, self._lock = 0, threading.RLock()
        self.place((0, n))

    def place(self, *ranges: Rows) -> None:
        """Divide rows among all workers and have them there.

        Raises:
            TooLarge: a worker has not the memory.
            DigestMismatch: the files of a worker are others.
        """
        todo = list(ranges)
        while todo:
            wanted = [one for rows in todo for one in self._divided(rows)]
            self._check(wanted)
            there = self._have(wanted)
            for worker, rows in there:
                self.pieces.setdefault(worker, []).append(rows)
            todo = [rows for worker, rows in wanted if (worker, rows) not in there]

    def mend(self) -> None:
        """Place anew what lost workers held. Raises as `place`."""
        with self._lock:  # threads of a server may use one set
            while gone := [worker for worker in self.pieces if worker not in self.team.members]:
                self.place(*(rows for worker in gone for rows in self.pieces.pop(worker)))

    def holders(self, rows: Rows) -> list[tuple[str, Rows]]:
        """Rows by the pieces that hold them."""
        found = []
        for worker, pieces in self.pieces.items():
            for start, stop in pieces:
                inside = max(start, rows[0]), min(stop, rows[1])
                if inside[0] < inside[1]:
                    found.append((worker, inside))
        return found

    def _divided(self, rows: Rows) -> list[tuple[str, Rows]]:
        """Rows in pieces as equal as the bounds allow, the first to the workers that hold least."""
        held = {worker: sum(b - a for a, b in self.pieces.get(worker, [])) for worker in self.team.members}
        workers = sorted(held, key=lambda worker: held[worker])  # of equals, in their own order
        inside = [rows[0], *(at for at in self.bounds if rows[0] < at < rows[1]), rows[1]]
        parts, count = len(inside) - 1, min(len(workers), len(inside) - 1)
        cuts = [inside[i * parts // count] for i in range(count + 1)]
        return [(worker, (a, b)) for worker, a, b in zip(workers, cuts, cuts[1:], strict=False)]

    def _check(self, wanted: Sequence[tuple[str, Rows]]) -> None:
        """Refuse what would not fit. Raises TooLarge."""
        each = self.images.train.data[:1].nbytes
        hosts: dict[str, list[Facts]] = {}
        for one in self.team.members.values():
            hosts.setdefault(one.host, []).append(one)
        for worker, (start, stop) in wanted:
            about = self.team.members[worker]
            if about.free is None:
                continue
            room, need = about.free // len(hosts[about.host]), int(_WORK * each * (stop - start))
            if need > room:
                raise TooLarge(
                    f"The worker {about} is to hold {stop - start:,} images of {self.images.name} and",
                    need,
                    room,
                    "Start more workers, or give each more memory (dask worker --memory-limit).",
                )

    def _have(self, wanted: Sequence[tuple[str, Rows]]) -> list[tuple[str, Rows]]:
        """Have the rows where they are wanted; those that are there, without workers lost meanwhile."""
        source, data, there = self.images, self.images.train.data, []
        left = list(wanted)
        if isinstance(source, Source) and not source.edits:  # an edit costs more than its images weigh
            asked = [
                self.team.submit(
                    worker, read_rows, self.key, source.text, source.first, rows, digest_of(data[slice(*rows)])
                )
                for worker, rows in left
            ]
            found = [
                self.team.result(one) if worker in self.team.members else None  # what a lost one was asked never comes
                for (worker, _), one in zip(left, asked, strict=True)
            ]
            there = [one for one, read in zip(left, found, strict=True) if read]
            left = [one for one, read in zip(left, found, strict=True) if read is False]
        for worker, rows in left:
            part = data[slice(*rows)].contiguous().numpy()
            sent = self.team.send(worker, part)
            if sent is not None and self.team.result(self.team.submit(worker, take_rows, self.key, rows, sent)):
                self.sent += part.nbytes
                there.append((worker, rows))
        return there
