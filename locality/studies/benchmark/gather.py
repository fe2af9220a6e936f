"""Finished cells put together: scores of all images by model, with gaps where cells are missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from locality.datasets import Source
from locality.device import machine_facts, versions
from locality.features import as_8bit
from locality.grammar import command
from locality.store import Artifact
from locality.studies.benchmark.cells import Cell
from locality.studies.benchmark.competitors import CONTROL, SECOND, Competitor, Setup
from locality.studies.benchmark.metrics import CELLS, HELD_OUT, LEVELS, OWN, every_step, scores_of
from locality.studies.benchmark.plan import BenchPlan
from locality.studies.benchmark.result import Result
from locality.studies.benchmark.rows import Bench

SHOWN = 16  # images of every model that are kept to be looked at


def gather(
    setup: Setup,
    every: Sequence[Cell],
    found: Mapping[str, Artifact],
    distances: Sequence[dict[str, Any]],
    notes: Sequence[str] = (),
) -> Bench:
    """The benchmark of the cells in `found`, by address."""
    missing = tuple(
        {"model": cell.competitor.name, "kind": cell.kind, "images": [cell.images.start, cell.images.stop]}
        for cell in every
        if cell.address not in found
    )
    source, second = setup.source, next((e.name for e in setup.competitors if e.kind == SECOND), None)
    return Bench(
        dataset=source.text,
        shape=source.shape,
        reference=setup.reference.name,
        second=second,
        plan=setup.plan,
        train_images=source.count(),
        results=tuple(_result(setup, competitor, every, found) for competitor in setup.everyone),
        distances=tuple(distances),
        groups=setup.groups,
        notes=(*setup.notes, *notes),
        missing=missing,
        facts={
            "command": bench_command(source, setup.plan),
            "versions": versions("torch", "numpy"),
            "machine": machine_facts(),
        },
    )


def bench_command(source: Source, plan: BenchPlan) -> str:
    """The command that makes a benchmark again."""
    words = ["bench", source.text, "--reference", plan.reference]
    words += [word for model in plan.models for word in ("--model", model)]
    words += [word for name in plan.presets for word in ("--preset", name)]
    words += ["-n", str(plan.count), "--steps", str(plan.steps), "--seed", str(plan.seed)]
    usual = BenchPlan()
    words += source.words[1:]
    words += [] if plan.ceiling == usual.ceiling else ["--second", plan.ceiling]
    words += [] if plan.sigmas == usual.sigmas else ["--sigmas", ",".join(map(repr, plan.sigmas))]
    words += [] if plan.features == usual.features else ["--features", plan.features]
    words += [] if plan.real == usual.real else ["--real", str(plan.real)]
    return command(*words)


def _result(setup: Setup, competitor: Competitor, every: Sequence[Cell], found: Mapping[str, Artifact]) -> Result:
    count = setup.held_out if competitor.kind == CONTROL else setup.plan.count
    scores: dict[str, Tensor] = {}
    counts = {HELD_OUT: setup.held_out, LEVELS: setup.held_out}
    have = {kind: torch.zeros(counts.get(kind, count), dtype=torch.bool) for kind in CELLS}
    mine = [cell for cell in every if cell.competitor is competitor and cell.kind in have and cell.address in found]
    for cell in mine:
        _fill(scores, have[cell.kind], cell, found[cell.address])
    own = sorted((cell for cell in mine if cell.kind == OWN), key=lambda cell: cell.images.start)
    return Result(
        name=competitor.name,
        kind=competitor.kind,
        notes=competitor.notes,
        sigmas=() if competitor.model is None else tuple(competitor.sampling.sigmas()),
        facts=_facts(competitor, [found[cell.address] for cell in own]),
        scores=scores,
        have=have,
        images=_shown(setup, competitor, [found[cell.address] for cell in own]),
    )


def _fill(scores: dict[str, Tensor], have: Bool[Tensor, " n"], cell: Cell, kept: Artifact) -> None:
    """Put the scores of one cell where its images are."""
    rows = slice(cell.images.start, cell.images.stop)
    for array, name in scores_of(cell.kind).items():
        part = kept.arrays[array].double()
        part = part[-1] if cell.kind == OWN and not every_step(name) else part
        if name not in scores:
            scores[name] = torch.full((*part.shape[:-1], len(have)), torch.nan, dtype=torch.float64)
        scores[name][..., rows] = part
    have[rows] = True


def _facts(competitor: Competitor, own: Sequence[Artifact]) -> dict[str, Any]:
    """Time and memory of a model's steps, in batches of the same size, and its settings."""
    sizes = [kept.meta["images"][1] - kept.meta["images"][0] for kept in own]
    batch = max(sizes, default=0)
    full = [kept for kept, size in zip(own, sizes, strict=True) if size == batch]
    seconds = [second for kept in full for second in kept.meta["step_seconds"]]
    peaks = [kept.meta["peak_bytes"] for kept in full if kept.meta["peak_bytes"] is not None]
    timed = {
        "seconds_per_step": sum(seconds) / len(seconds) if seconds else None,
        "peak_bytes": max(peaks, default=None),
        "batch": batch or None,
    }
    if competitor.model is None:
        return timed
    sampling, count = competitor.sampling, competitor.source.count()
    settings = {"steps": sampling.steps, "clip": sampling.clip, "train_images": count}
    return {**timed, **settings}


def _shown(setup: Setup, competitor: Competitor, own: Sequence[Artifact]) -> Tensor:
    """The first images of a model, as they would be saved; 8 bits."""
    if competitor.model is None:
        count = min(SHOWN, setup.held_out)
        return as_8bit(competitor.source.held_out.x0(slice(0, count)), setup.source.shape).flatten(1)
    first = [kept.arrays["image"] for kept in own if kept.meta["images"][0] < SHOWN]
    empty = torch.empty(0, setup.source.shape.d, dtype=torch.uint8)
    return torch.cat([*first, empty])[:SHOWN]
