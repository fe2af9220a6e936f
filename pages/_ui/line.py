"""Long work of a server, shared by all sessions that ask for the same: in lanes, one at a time in each.

A short job never waits behind a long one: who knows that a job is short gives it the lane "short". In a lane the
session that has had less of it comes first, and jobs that give way (`Turn.give_way`) take turns of some seconds, so
that one session's work never keeps the others waiting for its end.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
import time
from typing import Generic

from locality.sharing import refusal, shared
from pages._ui.lane import J, Lane, lane_of
from pages._ui.shared import session

_KEPT = 8  # ended jobs that can still be found
_FAREWELL = 5.0  # seconds a job may take to end with the server; cut off within PyTorch it aborts the process
_WAITING = 4  # jobs a session may have in a line of a shared server
_NICE = 10


class Line(Generic[J]):
    """The jobs that wait and those that are served."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._line: list[J] = []  # in order of asking
        self._known: dict[str, J] = {}
        self._lanes: dict[str, Lane[J]] = {}
        self._wanted: dict[J, set[str]] = {}  # sessions that asked for it
        atexit.register(self.close)

    def close(self) -> None:
        """Ask the jobs that can be stopped to end, and wait a little for those that are served."""
        with self._lock:
            jobs = list(self._line)
            served = [job for job in jobs if job in self._lane(job).begun]
            self._line[:] = served
            for job in jobs:
                if job not in served:
                    self._lane(job).forget(job)
        for job in jobs:
            stop = getattr(job, "stop", None)
            if isinstance(stop, threading.Event):
                stop.set()
        for job in served:
            job.ended.wait(_FAREWELL)

    def ask(self, job: J) -> J:
        """Put a job in the line, or join the one of the same key that is in it.

        One that a shared server does not allow, or that is one too many of this session, has ended with its `error`.
        """
        owner = session()
        with self._lock:
            known = self._known.get(job.key)
            if known is not None and not known.ended.is_set():
                self._wanted[known].add(owner)
                return known
            self._known.pop(job.key, None)
            self._known[job.key] = job
            for key in [key for key, old in self._known.items() if old.ended.is_set()][:-_KEPT]:
                del self._known[key]
            lane = self._lane(job)
            if why := self._refused(job, owner):
                job.error = why
                job.ended.set()
                return job
            self._line.append(job)
            self._wanted[job] = {owner}
            lane.enter(job, owner)
            self._next(lane)
            return job

    def find(self, key: str) -> J | None:
        """A job that waits, runs or ended lately."""
        return self._known.get(key)

    def before(self, job: J) -> int:
        """How many of its lane are served before this one, as it looks now."""
        with self._lock:
            lane = self._lane(job)
            waiting = [one for one in lane.order() if one not in lane.begun]
            return len(lane.begun) + waiting.index(job) if job in waiting else 0

    def leave(self, job: J) -> bool:
        """Take a job that still waits out of the line; False where it is being served or is not in it."""
        with self._lock:
            lane = self._lane(job)
            if job not in lane.owners or job in lane.begun:
                return False
            self._line.remove(job)
            del self._wanted[job]
            lane.forget(job)
        job.ended.set()
        return True

    def may_end(self, job: J) -> bool:
        """Whether this session may end a job: on a shared server those who asked for it."""
        return shared() is None or session() in self._wanted.get(job, ())

    def give_up(self, job: J) -> bool:
        """This session wants it no longer; True where nobody else does, so that it is to be ended."""
        with self._lock:
            wanted = self._wanted.get(job, set())
            wanted.discard(session())
            return shared() is None or not wanted

    def _refused(self, job: J, owner: str) -> str:
        needs = getattr(job, "needs", "")
        if needs and (why := refusal(needs)):
            return why
        mine = sum(self._lane(one).owners.get(one) == owner for one in self._line)
        if shared() is not None and mine >= _WAITING:
            return f"This server is shared: {mine} of your requests wait or run. Ask again when one has ended."
        return ""

    def _lane(self, job: J) -> Lane[J]:
        return self._lanes.setdefault(lane_of(job), Lane(self._lock, self._next))

    def _next(self, lane: Lane[J]) -> None:
        """Give the lane to whose turn it is, if nobody has it."""
        order = lane.order()
        if lane.holder is not None or not order:
            return
        lane.holder, lane.since = order[0], time.monotonic()
        if lane.holder in lane.begun:
            self._lock.notify_all()
        else:
            lane.begun.append(lane.holder)
            threading.Thread(target=self._run, args=(lane, lane.holder), daemon=True, name=lane.holder.key).start()

    def _run(self, lane: Lane[J], job: J) -> None:
        lane.thread_of[threading.get_ident()] = job
        _let_clicks_pass()
        try:
            job.run(lane)
        finally:
            with self._lock:
                del lane.thread_of[threading.get_ident()]
                if job in self._line:
                    self._line.remove(job)
                self._wanted.pop(job, None)
                lane.release(job)
                lane.forget(job)
                self._next(lane)
            job.ended.set()


def _let_clicks_pass() -> None:
    """This thread, and those PyTorch starts for it, get what pages leave: Linux has priorities of threads."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
