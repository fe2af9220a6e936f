"""Measured costs as a small shipped file: which machine, which points; read back for the page."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import torch

from locality.artifact import Artifact
from locality.datasets import Source
from locality.store import Store, default_store
from locality.studies._costs_plan import CostPlan, Costs

KIND, VERSION = "costs", 1


def ship_costs(source: Source, made: Costs, command: str, folder: Path, *, store: Store | None = None) -> Path:
    """Write measured costs to a folder of shipped files as costs/DATASET; returns the payload's path."""
    models = sorted({str(point["model"]) for point in made.points})
    key = {"fingerprint": source.fingerprint, "plan": made.plan.key(), "models": models, "version": VERSION}
    machine = {"system": platform.system(), "processor": platform.machine(), "cores": os.cpu_count()}
    meta = {
        "dataset": made.dataset,
        "plan": {name: value for name, value in made.plan.key().items() if name != "name"},
        "points": list(made.points),
        "notes": list(made.notes),
        "machine": machine,
    }
    artifact = Artifact({"seconds": torch.tensor([point["seconds"] for point in made.points]).double()}, meta)
    about = {"dataset": made.dataset, "command": command, "machine": machine, **source.credit}
    return Store((store or default_store()).local, folder).ship(source.slug, KIND, key, artifact, about)


def shipped_costs(dataset: str, *, store: Store | None = None) -> Costs | None:
    """The shipped measurement of a dataset by name, None where there is none."""
    home = store or default_store()
    for manifest in home.shipped(KIND):
        kept = home.get(KIND, manifest["key"]) if manifest["about"].get("dataset") == dataset else None
        if kept is not None:
            return _costs(kept.meta)
    return None


def _costs(meta: dict[str, Any]) -> Costs:
    plan: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in meta["plan"].items()
    }
    machine = meta["machine"]
    note = f"Measured on {machine['cores']} cores ({machine['processor']}, {machine['system']})."
    return Costs(meta["dataset"], CostPlan(**plan), tuple(meta["points"]), (*meta["notes"], note))
