"""Long work of a server, shared by all sessions that ask for the same: in lanes, one at a time in each.

A short job never waits behind a long one: who knows that a job is short gives it the lane "short".
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

_KEPT = 8  # ended jobs that can still be found
_FAREWELL = 5.0  # seconds a job may take to end with the server; cut off within PyTorch it aborts the process


class Job(Protocol):
    """Work known by a key; `run` does it, in a thread of its lane, and `ended` is set afterwards.

    A job may name its `lane`; without one it is in the long lane.
    """

    key: str
    ended: threading.Event

    def run(self, others_wait: threading.Event) -> None: ...


J = TypeVar("J", bound=Job)


class Line(Generic[J]):
    """The jobs that wait and those that are served: the first of every lane."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._line: list[J] = []
        self._known: dict[str, J] = {}
        self._others_wait: dict[str, threading.Event] = {}  # by lane
        atexit.register(self.close)

    def close(self) -> None:
        """Ask the jobs that can be stopped to end, and wait a little for those that are served."""
        with self._lock:
            jobs = list(self._line)
            served = [job for job in jobs if self._first(job)]
            self._line[:] = served
        for job in jobs:
            stop = getattr(job, "stop", None)
            if isinstance(stop, threading.Event):
                stop.set()
        for job in served:
            job.ended.wait(_FAREWELL)

    def ask(self, job: J) -> J:
        """Put a job in the line, or join the one of the same key that is in it."""
        with self._lock:
            known = self._known.get(job.key)
            if known is not None and not known.ended.is_set():
                return known
            self._known.pop(job.key, None)
            self._known[job.key] = job
            for key in [key for key, old in self._known.items() if old.ended.is_set()][:-_KEPT]:
                del self._known[key]
            self._line.append(job)
            if self._first(job):
                self._begin(job)
            else:
                self._waiting(job).set()
            return job

    def find(self, key: str) -> J | None:
        """A job that waits, runs or ended lately."""
        return self._known.get(key)

    def before(self, job: J) -> int:
        """How many of its lane are served before this one."""
        lane: Sequence[J] = self._lane(job)
        return lane.index(job) if job in lane else 0

    def leave(self, job: J) -> bool:
        """Take a job that still waits out of the line; False where it is being served or is not in it."""
        with self._lock:
            if job not in self._lane(job)[1:]:
                return False
            self._line.remove(job)
            self._settle(job)
        job.ended.set()
        return True

    def _lane(self, job: J) -> list[J]:
        """All jobs of its lane, in order."""
        return [one for one in list(self._line) if lane_of(one) == lane_of(job)]

    def _first(self, job: J) -> bool:
        return self._lane(job)[0] is job

    def _waiting(self, job: J) -> threading.Event:
        """Set while others of its lane wait."""
        return self._others_wait.setdefault(lane_of(job), threading.Event())

    def _settle(self, job: J) -> None:
        if len(self._lane(job)) < 2:
            self._waiting(job).clear()

    def _begin(self, job: J) -> None:
        threading.Thread(target=self._run, args=(job,), daemon=True, name=job.key).start()

    def _run(self, job: J) -> None:
        try:
            job.run(self._waiting(job))
        finally:
            with self._lock:
                self._line.remove(job)
                self._settle(job)
                if lane := self._lane(job):
                    self._begin(lane[0])
            job.ended.set()


def lane_of(job: object) -> str:
    """The lane of a job: long where it does not say."""
    return str(getattr(job, "lane", "long"))
