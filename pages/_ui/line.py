"""Long work of a server: one at a time in order of asking, shared by all sessions that ask for the same."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

_KEPT = 8  # ended jobs that can still be found
_FAREWELL = 5.0  # seconds a job may take to end with the server; cut off within PyTorch it aborts the process


class Job(Protocol):
    """Work known by a key; `run` does it, in a thread of the line, and `ended` is set afterwards."""

    key: str
    ended: threading.Event

    def run(self, others_wait: threading.Event) -> None: ...


J = TypeVar("J", bound=Job)


class Line(Generic[J]):
    """The jobs that wait and the one that is served."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._line: list[J] = []
        self._known: dict[str, J] = {}
        self._others_wait = threading.Event()
        atexit.register(self.close)

    def close(self) -> None:
        """Ask the jobs that can be stopped to end, and wait a little for the one that is served."""
        with self._lock:
            jobs, self._line[1:] = list(self._line), []
        for job in jobs:
            stop = getattr(job, "stop", None)
            if isinstance(stop, threading.Event):
                stop.set()
        if jobs:
            jobs[0].ended.wait(_FAREWELL)

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
            if len(self._line) == 1:
                self._begin()
            else:
                self._others_wait.set()
            return job

    def find(self, key: str) -> J | None:
        """A job that waits, runs or ended lately."""
        return self._known.get(key)

    def before(self, job: J) -> int:
        """How many are served before this one."""
        line: Sequence[J] = list(self._line)
        return line.index(job) if job in line else 0

    def leave(self, job: J) -> bool:
        """Take a job that still waits out of the line; False where it is being served or is not in it."""
        with self._lock:
            if job not in self._line[1:]:
                return False
            self._line.remove(job)
            if len(self._line) < 2:
                self._others_wait.clear()
        job.ended.set()
        return True

    def _begin(self) -> None:
        threading.Thread(target=self._run, args=(self._line[0],), daemon=True, name=self._line[0].key).start()

    def _run(self, job: J) -> None:
        try:
            job.run(self._others_wait)
        finally:
            with self._lock:
                self._line.remove(job)
                if len(self._line) < 2:
                    self._others_wait.clear()
                if self._line:
                    self._begin()
            job.ended.set()
