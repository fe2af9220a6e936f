"""Pictures -> rows of one file on disk, by this process or by several; what was met on the way comes back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from locality import errors
from locality.errors import BadInput, LocalityError
from locality.pictures.names import choose
from locality.pictures.opened import open_images
from locality.pictures.recipe import Crop, Facts, Mode, Recipe
from locality.pictures.scratch import Scratch
from locality.pictures.sets import ImageSet
from locality.pictures.values import Values

_FEW = 300  # pictures that one process reads sooner than others start
_MOST = 8  # processes
_TURN = 32  # pictures between two reports
Report = Callable[[float], None]  # the share that is done


@dataclass(frozen=True)
class Request:
    """What to read from a path, and how; `values` as one types it. `limit`: at most so many of each split, 0: all."""

    path: str
    resolution: int
    crop: Crop
    mode: Mode
    limit: int = 0
    key: str = ""
    values: str = ""

    @property
    def recipe(self) -> Recipe:
        return Recipe(self.resolution, self.crop, self.mode, Values.parse(self.values))


@dataclass(frozen=True)
class Plan:
    """Which pictures are read, in ascending order, and the row of the file each goes to: training images first."""

    rows: NDArray[np.int64]
    places: NDArray[np.int64]
    train: int

    @staticmethod
    def of(images: ImageSet, limit: int) -> Plan:
        """Raises BadInput (too few images, or some outside both splits)."""
        train, test = choose(images.marks, images.names, limit, images.title)
        both = np.concatenate([train, test])
        order = np.argsort(both, kind="stable")
        return Plan(both[order], order, len(train))


def decode(images: ImageSet, plan: Plan, recipe: Recipe, out: NDArray[Any], report: Report) -> Facts:
    """Read the pictures of a plan into `out` [n d]. Raises as `ImageSet.pictures`."""
    facts, n = Facts(), len(plan.rows)
    if (blocks := images.blocks(plan.rows, recipe)) is not None:
        for at, block in blocks:
            out[plan.places[at : at + len(block)]] = block.reshape(len(block), -1)
            facts.peak = max(facts.peak, int(block.max())) if block.dtype == np.uint8 else facts.peak
            report((at + len(block)) / n)
        return facts
    for i, (row, picture) in enumerate(images.pictures(plan.rows)):
        out[plan.places[i]] = recipe(picture, images.names[row], facts).reshape(-1)
        if i % _TURN == 0:
            report(i / n)
    report(1.0)
    return facts


def decode_together(
    request: Request, images: ImageSet, plan: Plan, recipe: Recipe, target: Path, scratch: Scratch, report: Report
) -> Facts:
    """The same into the file `target`, which has its full size, by as many processes as help.

    Raises:
        BadInput, TooLarge: as `decode`; a process that was ended from outside.
    """
    n = len(plan.rows)
    count = min(_MOST, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    if n < _FEW or count < 2 or not images.splits_work:
        out = np.memmap(target, recipe.values.type, "r+", shape=(n, recipe.size))
        facts = decode(images, plan, recipe, out, report)
        out.flush()
        return facts
    cuts = [round(i * n / count) for i in range(count + 1)]
    shared = {"request": asdict(request), "target": str(target), "scratch": str(scratch.folder), "n": n}
    return _gather([{**shared, "start": a, "stop": b} for a, b in pairwise(cuts)], report)


def _gather(jobs: Sequence[dict[str, Any]], report: Report) -> Facts:
    """Run each job in a process of its own, `python -m locality.pictures.worker`; all end with this call."""
    facts, said, done = Facts(), SimpleQueue[tuple[int, dict[str, Any] | None]](), [0.0] * len(jobs)
    workers = [_start(job) for job in jobs]
    try:
        for i, worker in enumerate(workers):
            Thread(target=_listen, args=(i, worker.stdout, said), daemon=True).start()
        left = set(range(len(jobs)))
        while left:
            try:
                i, line = said.get(timeout=1.0)
            except Empty:
                report(sum(done) / len(jobs))  # whoever listens may cancel here
                continue
            if line is None:
                if i in left:
                    raise BadInput("A process that reads the images was ended from outside. Start again.")
            elif "share" in line:
                done[i] = line["share"]
                report(sum(done) / len(jobs))
            elif "error" in line:
                raise _error(line)
            else:
                facts.merge(Facts(**line["facts"]))
                left.discard(i)
        return facts
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def _start(job: dict[str, Any]) -> subprocess.Popen[bytes]:
    here = str(Path(__file__).resolve().parents[2])
    paths = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH", "")]))
    worker = subprocess.Popen(
        [sys.executable, "-m", "locality.pictures.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert worker.stdin is not None
    with worker.stdin as pipe:
        pipe.write(json.dumps(job).encode())
    return worker


def _listen(i: int, pipe: IO[bytes] | None, said: SimpleQueue[tuple[int, dict[str, Any] | None]]) -> None:
    assert pipe is not None
    with pipe:
        for line in pipe:
            said.put((i, json.loads(line)))
    said.put((i, None))


def _error(line: dict[str, Any]) -> LocalityError:
    """An error of a worker as it was raised there."""
    kind: type[LocalityError] = getattr(errors, line["error"])
    error = kind.__new__(kind)
    error.args = (line["text"],)
    return error


def part_of(job: dict[str, Any], report: Report) -> Facts:
    """What a worker does: its stretch of the plan. Raises BadInput (the files changed meanwhile), and as `decode`."""
    request = Request(**job["request"])
    recipe = request.recipe
    with open_images(Path(request.path), request.key, Scratch(Path(job["scratch"]))) as images:
        plan = Plan.of(images, request.limit)
        if len(plan.rows) != job["n"]:
            raise BadInput(f"{images.title} changed while it was read. Start again when it is complete.")
        recipe = replace(recipe, values=images.understood(recipe.values))
        out = np.memmap(job["target"], recipe.values.type, "r+", shape=(len(plan.rows), recipe.size))
        some = slice(job["start"], job["stop"])
        facts = decode(images, Plan(plan.rows[some], plan.places[some], plan.train), recipe, out, report)
        out.flush()
    return facts
