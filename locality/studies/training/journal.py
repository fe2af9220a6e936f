"""What a training leaves for whoever watches: its curves, line by line, and what it is doing now."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from locality.networks import write_atomic
from locality.work import Progress, map_progress

T = TypeVar("T")

LOG, NOW = "log.jsonl", "progress.json"
_EVERY = 1.0  # seconds between two lines at the start; later 1/300 of the time so far: a few thousand lines at most


class Log:
    """Lines `{"images", "seconds", "loss", "rate", "held_out", "held_out_ratio"}`; the loss is the mean since the last.

    A training that goes on from `images` forgets the lines beyond: those steps will be made again.
    """

    def __init__(self, folder: Path, images: int) -> None:
        self.path = folder / LOG
        kept = [line for line in read_log(folder) if line["images"] <= images] if images else []
        write_atomic(self.path, "".join(f"{json.dumps(line)}\n" for line in kept).encode())
        self._losses: list[float] = []
        self._latest: dict[str, float] = {}
        self._seconds = kept[-1]["seconds"] if kept else -math.inf

    def add(self, numbers: Mapping[str, float], seconds: float) -> None:
        """Take the numbers of a step; write a line when it is time."""
        self._losses.append(numbers["loss"])
        self._latest = {**numbers, "seconds": round(seconds, 2)}
        if seconds - self._seconds >= max(_EVERY, seconds / 300):
            self.flush()

    def flush(self) -> None:
        """Write what has come since the last line."""
        if not self._losses:
            return
        line = {**self._latest, "loss": sum(self._losses) / len(self._losses)}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self._losses, self._seconds = [], line["seconds"]


def read_log(folder: Path) -> list[dict[str, float]]:
    """The lines of a training's log so far, [] where there is none; a line that is being written is left out."""
    try:
        lines = (folder / LOG).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and all(_is_number(entry.get(name)) for name in ("images", "seconds", "loss")):
            found.append(entry)
    return found


def recorded(work: Generator[Progress, None, T], folder: Path, every: float = 0.5) -> Generator[Progress, None, T]:
    """Pass events on, writing the latest as `{"note", "fraction", "at", ...}` at most every so many seconds.

    The file is gone when the work is done.
    """
    reported = -math.inf

    def record(event: Progress) -> Progress:
        nonlocal reported
        if time.monotonic() - reported >= every:
            about = {"note": event.note, "fraction": event.fraction, "at": time.time(), **event.numbers}
            write_atomic(folder / NOW, json.dumps(about).encode())
            reported = time.monotonic()
        return event

    result = yield from map_progress(work, record)
    (folder / NOW).unlink(missing_ok=True)
    return result


def read_progress(folder: Path) -> dict[str, Any]:
    """The latest event of a training, {} before there is one."""
    try:
        found: dict[str, Any] = json.loads((folder / NOW).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
