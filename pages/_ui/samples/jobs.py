"""Generations in threads of the server, one at a time in each lane, shared by all who ask for the same."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from locality.datasets import Source
from locality.errors import LocalityError
from locality.studies import Sampling, Stepped, finish, sample
from locality.work import Progress
from pages._ui.lane import Turn
from pages._ui.line import Line
from pages._ui.samples.nearest import search
from pages._ui.timing import spoken

State = Literal["waiting", "running", "done", "failed", "cancelled"]
_LOOK = 0.2  # seconds between looks at the job before
ABANDONED = 120.0  # seconds unwatched after which a generation makes way for others in line


class Cancelled(Exception):
    """Raised inside the work to end it."""


@dataclass(eq=False)
class Drawing:
    """One model's part of a generation: the steps drawn so far."""

    text: str
    key: str
    state: State = "waiting"
    steps: list[Stepped] = field(default_factory=list)
    error: str = ""


@dataclass(eq=False)
class Job:
    """Models one after the other, then the nearest training images of what they drew."""

    key: str
    source: Source
    sampling: Sampling
    drawings: list[Drawing]
    lane: str = "short"
    after: Job | None = None  # ends before this one begins
    state: State = "waiting"
    latest: Progress = Progress(0.0, 1.0, "Starting")
    error: str = ""
    stop: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    watched: float = field(default_factory=time.monotonic)
    _phase: tuple[str, float, float] = ("", 0.0, 0.0)

    def run(self, others_wait: Turn) -> None:
        """Draw everything; a model that cannot run says why in its row and the next one follows."""
        try:
            self._wait(others_wait)
            self.state = "running"
            for drawing in self.drawings:
                self._draw(drawing, others_wait)
            drawn = {drawing.key: drawing.steps[-1].x0_hat for drawing in self.drawings if drawing.state == "done"}
            finish(search(self.source, drawn), partial(self._follow, None, others_wait))
            self.state = "done"
        except Cancelled:
            self.state = "cancelled"
            for drawing in self.drawings:
                if drawing.state in ("waiting", "running"):
                    drawing.state = "cancelled"
        except LocalityError as error:  # of the search alone
            self.error, self.state = str(error), "failed"
        finally:
            if self.state in ("waiting", "running"):
                self.state = "failed"
                self.error = "It failed unexpectedly; the server's log has the error."

    def _wait(self, others_wait: Turn) -> None:
        while self.after is not None and not self.after.ended.wait(_LOOK):
            if self.stop.is_set():
                raise Cancelled
            others_wait.give_way()

    def _draw(self, drawing: Drawing, others_wait: Turn) -> None:
        drawing.state = "running"
        work = sample(self.source, drawing.text, self.sampling)
        try:
            finish(work, partial(self._follow, drawing, others_wait))
            drawing.state = "done"
        except LocalityError as error:
            drawing.error, drawing.state = str(error), "failed"

    def _follow(self, drawing: Drawing | None, others_wait: Turn, event: Progress) -> None:
        if self.stop.is_set() or (others_wait.is_set() and time.monotonic() - self.watched > ABANDONED):
            raise Cancelled
        others_wait.give_way()
        if drawing is not None and isinstance(event, Stepped):
            drawing.steps.append(event)
        phase = f"{drawing and drawing.text} {event.note.partition(',')[0]}"
        if phase != self._phase[0]:
            self._phase = phase, time.monotonic(), event.fraction
        self.latest = event

    @property
    def fraction(self) -> float:
        """Share of the models done, in [0, 1]."""
        over = sum(drawing.state in ("done", "failed") for drawing in self.drawings)
        inside = self.latest.fraction if over < len(self.drawings) else 0.0
        return min((over + inside) / len(self.drawings), 1.0)

    @property
    def seconds_left(self) -> float | None:
        """Seconds left of what is being done now, from its speed so far; None before there is any."""
        _, began, start = self._phase
        done = self.latest.fraction - start
        return (time.monotonic() - began) * (1.0 - self.latest.fraction) / done if done > 0 else None

    @property
    def doing(self) -> str:
        """What is being done now, and for how long still."""
        running = next((drawing for drawing in self.drawings if drawing.state == "running"), None)
        left = self.seconds_left
        about = "" if left is None or left < 2 else f"; about {spoken(left)} left for this model"
        note = self.latest.note.replace(" sigma ", " noise level σ = ")
        return f"{running.text}: {note[:1].lower()}{note[1:]}{about}" if running else note


class Jobs(Line[Job]):
    """The line of generations of this server."""


JOBS = Jobs()
