"""Sweeps that come with the repository: a finished experiment, without images or weights."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch

from locality.datasets import Source
from locality.edits import EditSpec, parse_edit
from locality.store import Artifact, Store
from locality.store.artifact import canonical, defined
from locality.studies.shipped import ship, shipped
from locality.studies.sweep.participants import chance_around
from locality.studies.sweep.plan import Sweep, SweepPlan
from locality.types import ImageShape

KIND, VERSION = "sweep", 1


def ship_sweep(source: Source, made: Sweep, command: str, folder: Path, *, store: Store | None = None) -> Path:
    """Write a sweep to a folder of shipped files as sweep/DATASET-EDIT; returns the payload's path."""
    edit = parse_edit(made.edit)
    kept = Artifact({"strengths": torch.tensor(made.plan.strengths).double()}, defined(made.to_json()))
    key = {"family": _family(source, edit), "plan": made.plan.key(), "pixels": made.pixels, "version": VERSION}
    about = {"edit": made.edit, "models": made.models, "command": command}
    name = source.edited((*source.edits, edit)).slug
    return ship(source, name, KIND, key, kept, about, folder, store=store)


def shipped_sweeps(source: Source, edit: EditSpec, *, store: Store | None = None) -> list[Sweep]:
    """The shipped sweeps of an edit of these images, whatever strength it is at."""
    family = canonical(_family(source, edit))
    found = shipped(KIND, where=lambda manifest: canonical(manifest["key"].get("family")) == family, store=store)
    return [_sweep(kept.meta, source.shape) for _, kept in found]


def _family(source: Source, edit: EditSpec) -> dict[str, Any]:
    """What is edited and how, without how much."""
    identity = edit.identity(source.shape)
    return {
        "fingerprint": source.fingerprint,
        "edit": {name: value for name, value in identity.items() if name != edit.dial},
    }


def _sweep(meta: dict[str, Any], shape: ImageShape) -> Sweep:
    options = {name: meta[name] for name in ("sigma", "draws", "seed")}
    plan = SweepPlan(strengths=tuple(meta["strengths"]), pixels=len(meta["pixels"]), **options)
    chance = math.nan if meta["chance"] is None else float(meta["chance"])
    around, rest = chance_around(chance, shape), (meta[name] for name in ("rows", "networks", "notes"))
    return Sweep(meta["dataset"], meta["edit"], plan, meta["pixels"], chance, around, *rest)
