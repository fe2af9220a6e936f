"""Sweeps that come with the repository: a finished experiment, without images or weights."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch

from locality.artifact import canonical
from locality.datasets import Source
from locality.edits import EditSpec, parse_edit
from locality.store import Artifact, Store, default_store
from locality.studies._sweep_plan import Sweep, SweepPlan

KIND, VERSION = "sweep", 1


def ship_sweep(source: Source, made: Sweep, command: str, folder: Path, *, store: Store | None = None) -> Path:
    """Write a sweep to a folder of shipped files as sweep/DATASET-EDIT; returns the payload's path."""
    edit = parse_edit(made.edit)
    kept = Artifact({"strengths": torch.tensor(made.plan.strengths).double()}, _plain(made.to_json()))
    key = {"family": _family(source, edit), "plan": made.plan.key(), "pixels": made.pixels, "version": VERSION}
    facts = {"dataset": made.dataset, "edit": made.edit, "models": made.models, "command": command}
    name = source.edited((*source.edits, edit)).slug
    return Store((store or default_store()).local, folder).ship(name, KIND, key, kept, {**facts, **source.credit})


def shipped_sweeps(source: Source, edit: EditSpec, *, store: Store | None = None) -> list[Sweep]:
    """The shipped sweeps of an edit of these images, whatever strength it is at."""
    home = store or default_store()
    family = canonical(_family(source, edit))
    found = []
    for manifest in home.shipped(KIND):
        if canonical(manifest["key"].get("family")) == family:
            kept = home.get(KIND, manifest["key"])
            if kept is not None:
                found.append(_sweep(kept.meta))
    return found


def _family(source: Source, edit: EditSpec) -> dict[str, Any]:
    """What is edited and how, without how much."""
    identity = edit.identity(source.shape)
    return {
        "fingerprint": source.fingerprint,
        "edit": {name: value for name, value in identity.items() if name != edit.dial},
    }


def _sweep(meta: dict[str, Any]) -> Sweep:
    options = {name: meta[name] for name in ("sigma", "draws", "seed")}
    plan = SweepPlan(strengths=tuple(meta["strengths"]), pixels=len(meta["pixels"]), **options)
    chance = math.nan if meta["chance"] is None else float(meta["chance"])
    return Sweep(
        meta["dataset"], meta["edit"], plan, meta["pixels"], chance, meta["rows"], meta["networks"], meta["notes"]
    )


def _plain(value: Any) -> Any:
    """The value with null in place of NaN, which JSON cannot hold."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
