"""A lane of the line: who asked for its jobs, whose turn it is, and how much of it every session has had."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

_TURN = 2.0  # seconds of a lane before others have theirs
_BEGUN = 4  # jobs of a lane that are under way, one of them at work: each holds its memory
_LOOK = 0.2  # seconds between looks whether a job that waits for its turn was stopped


class Turn(threading.Event):
    """What a job knows of the others of its lane: set while some wait."""

    def give_way(self) -> None:
        """To be called between two steps: others have their turn first where this job has had its."""


class Job(Protocol):
    """Work known by a key; `run` does it, in a thread of its lane, and `ended` is set afterwards.

    A job may name its `lane`, without one it is in the long lane, and what a shared server must allow for it, `needs`
    (see `locality.sharing.KINDS`). Where it is refused its `error` says why.
    """

    key: str
    ended: threading.Event
    error: str

    def run(self, others_wait: Turn) -> None: ...


J = TypeVar("J", bound=Job)


class Lane(Turn, Generic[J]):
    """The jobs of a lane: who asked for each, how much of it every session has had, and whose turn it is."""

    def __init__(self, lock: threading.Condition, move_on: Callable[[Lane[J]], None]) -> None:
        """`move_on` gives the lane to whose turn it is; called with the `lock` of the line."""
        super().__init__()
        self._lock, self._move_on = lock, move_on
        self.owners: dict[J, str] = {}  # in order of asking
        self.used: dict[str, float] = {}  # seconds, of the sessions that have jobs here
        self.begun: list[J] = []
        self.holder: J | None = None
        self.since = 0.0
        self.thread_of: dict[int, J] = {}

    def enter(self, job: J, owner: str) -> None:
        """A session that comes anew begins as the one that has had least: nobody saves up, nobody is in debt."""
        self.used.setdefault(owner, min(self.used.values(), default=0.0))
        self.owners[job] = owner
        self._mark()

    def forget(self, job: J) -> None:
        """It has ended or left."""
        owner = self.owners.pop(job)
        if job in self.begun:
            self.begun.remove(job)
        if owner not in self.owners.values():
            del self.used[owner]
        self._mark()

    def order(self) -> list[J]:
        """Who is next: every session's first job before anybody's second, who has had least first."""
        full = len(self.begun) >= _BEGUN
        nth: dict[str, int] = {}
        ranked = []
        for place, (job, owner) in enumerate(self.owners.items()):
            rank = nth[owner] = nth.get(owner, -1) + 1
            ranked.append((full and job not in self.begun, rank, self.used[owner], place, job))
        return [entry[-1] for entry in sorted(ranked, key=lambda entry: entry[:-1])]

    def release(self, job: J) -> None:
        """Charge its session for the turn, and leave the lane to the next."""
        if self.holder is job:
            self.used[self.owners[job]] += time.monotonic() - self.since
            self.holder = None

    def give_way(self) -> None:
        job = self.thread_of.get(threading.get_ident())
        if job is None or not self.is_set() or time.monotonic() - self.since < _TURN:
            return
        with self._lock:
            self.release(job)
            self._move_on(self)
            stop = getattr(job, "stop", None)
            while self.holder is not job and not (isinstance(stop, threading.Event) and stop.is_set()):
                self._lock.wait(_LOOK)

    def _mark(self) -> None:
        (self.set if len(self.owners) > 1 else self.clear)()


def lane_of(job: object) -> str:
    """The lane of a job: long where it does not say."""
    return str(getattr(job, "lane", "long"))
