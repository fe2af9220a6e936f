"""Trainings as processes of their own, one at a time: `python -m locality train ...` at low priority.

A process keeps the page's clicks fast, cannot take the server down, and stops as on Ctrl-C when the server ends.
What became of a training is on disk, so another session or the next server finds it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from locality.errors import BadInput
from locality.networks import MANIFEST, STATE, write_atomic
from locality.sharing import refusal
from locality.store import default_store
from locality.studies import read_progress
from pages._ui.lane import Turn
from pages._ui.line import Line
from pages._ui.train.plan import ROOT, Plan

State = Literal["waiting", "running", "pausing", "paused", "cancelling", "cancelled", "done", "failed"]
OUTCOME, OUTPUT = "outcome.json", "output.txt"
_NICE = 10  # clicks and samples of the page come first
ACTIVE = ("waiting", "running", "pausing", "cancelling")


@dataclass(eq=False)
class Run:
    """A training that waits for its turn or runs."""

    plan: Plan
    state: State = "waiting"
    message: str = ""
    error: str = ""  # why it was not taken into the line
    ended: threading.Event = field(default_factory=threading.Event)
    _process: subprocess.Popen[bytes] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def key(self) -> str:
        return self.plan.key

    def run(self, others_wait: Turn) -> None:
        """Follow the process to its end; what became of it is in `state` and on disk."""
        folder = self.plan.folder
        with self._lock:
            if self.state == "waiting":
                try:
                    self._process, self.state = _start(self.plan), "running"
                except OSError as error:
                    self._process, self.state, self.message = None, "failed", f"It could not be started: {error}."
        if self._process is not None:
            code = self._process.wait()
            self._conclude(code, _last_line(folder / OUTPUT))
        if self.state == "cancelling":
            shutil.rmtree(folder, ignore_errors=True)
            self.state = "cancelled"
        elif self.state == "pausing":
            self.state = "paused"

    def stop(self, state: Literal["pausing", "cancelling"]) -> None:
        """Ask the process to keep its work and end (pausing), or end it and delete its files (cancelling)."""
        with self._lock:
            if self.state not in ACTIVE:
                return
            self.state = state
            if self._process is not None:
                with contextlib.suppress(ProcessLookupError):
                    self._process.send_signal(signal.SIGINT if state == "pausing" else signal.SIGKILL)

    def _conclude(self, code: int, said: str) -> None:
        with self._lock:
            stopped = "Stopped" in said or self.state == "pausing"
            if code == 0:
                self.state = "done"
            elif self.state != "cancelling":
                self.state = "paused" if stopped else "failed"
                self.message = "" if stopped else _reason(code, said)
        folder = self.plan.folder
        write_atomic(folder / OUTCOME, json.dumps({"state": self.state, "message": self.message}).encode())
        (folder / "progress.json").unlink(missing_ok=True)


class Runs(Line[Run]):
    """The line of trainings of this server."""

    def start(self, plan: Plan) -> Run:
        """Put a new training in the line. Raises BadInput as `Plan.check`, and on a shared server that allows none."""
        _allowed()
        plan.check()
        plan.save()
        return self.ask(Run(plan))

    def resume(self, plan: Plan) -> Run:
        """Put a training that is paused, or has failed, in the line once more. Raises BadInput: not on this server."""
        _allowed()
        (plan.folder / OUTCOME).unlink(missing_ok=True)
        return self.ask(Run(plan))

    def pause(self, plan: Plan) -> None:
        """Let a training rest; one that waits leaves the line."""
        self._stop(plan, "pausing")

    def cancel(self, plan: Plan) -> None:
        """End a training and delete its files, finished weights excepted."""
        run = self.find(plan.key)
        if run is not None and not run.ended.is_set():
            self._stop(plan, "cancelling")
        elif not (plan.folder / MANIFEST).exists():
            shutil.rmtree(plan.folder, ignore_errors=True)

    def active(self) -> list[Run]:
        """Those that run or wait, in order."""
        return [run for run in list(self._line) if not run.ended.is_set()]

    def _stop(self, plan: Plan, state: Literal["pausing", "cancelling"]) -> None:
        run = self.find(plan.key)
        if run is None or run.ended.is_set():
            return
        run.stop(state)
        if self.leave(run):
            run.run(self._lane(run))  # nothing runs: only what the wish asks for


def _allowed() -> None:
    if why := refusal("train"):
        raise BadInput(why)


RUNS = Runs()


def state_of(plan: Plan) -> tuple[State, str]:
    """What a training is at, from the line and else from disk, and what went wrong."""
    run = RUNS.find(plan.key)
    if run is not None and not run.ended.is_set():
        return run.state, run.message
    if (plan.folder / MANIFEST).exists():
        return "done", ""
    try:
        kept = json.loads((plan.folder / OUTCOME).read_text(encoding="utf-8"))
        return ("failed", str(kept["message"])) if kept["state"] == "failed" else ("paused", "")
    except (OSError, ValueError, KeyError, TypeError):
        return ("running", "elsewhere") if _elsewhere(plan) else ("paused", "")


def _elsewhere(plan: Plan) -> bool:
    """Whether a process that this server did not start has reported on it within the last seconds."""
    now = read_progress(plan.folder).get("at")
    return isinstance(now, float) and abs(time.time() - now) < 20.0


def _start(plan: Plan) -> subprocess.Popen[bytes]:
    resume = (plan.folder / STATE).exists()
    words = [*plan.words(resume=resume), "--preview", "--with-parent"]
    env = {**os.environ, "LOCALITY_CACHE": str(default_store().local.resolve())}
    with (plan.folder / OUTPUT).open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "locality", *words],
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=output,
        )
    with contextlib.suppress(OSError, AttributeError):  # a wish: some systems have no priorities
        os.setpriority(os.PRIO_PROCESS, process.pid, _NICE)
    return process


def _last_line(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1].strip() if lines else ""


def _reason(code: int, said: str) -> str:
    """Why a process ended, in one sentence and what to do."""
    if said.startswith("Error: "):
        return said.removeprefix("Error: ")
    if code < 0:
        return (
            f"The training's process was killed by the system (signal {-code}), most likely for lack of memory. "
            "Choose a smaller network or batch; a training that had begun can be resumed."
        )
    return f"The training's process ended with code {code}: {said or 'it said nothing'}. Its output is in {OUTPUT}."
