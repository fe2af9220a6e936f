"""Measured costs as a small shipped file: which machine, which points; read back for the page."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch

from locality.datasets import Source
from locality.device import machine_facts
from locality.store import Artifact, Store
from locality.studies.costs.plan import CostPlan, Costs
from locality.studies.shipped import read_plan, ship, shipped

KIND, VERSION = "costs", 1


def ship_costs(source: Source, made: Costs, command: str, folder: Path, *, store: Store | None = None) -> Path:
    """Write measured costs to a folder of shipped files as costs/DATASET; returns the payload's path."""
    models = sorted({str(point["model"]) for point in made.points})
    key = {"fingerprint": source.fingerprint, "plan": made.plan.key(), "models": models, "version": VERSION}
    machine = machine_facts()
    meta = {
        "dataset": made.dataset,
        "plan": dataclasses.asdict(made.plan),
        "points": list(made.points),
        "notes": list(made.notes),
        "machine": machine,
    }
    artifact = Artifact({"seconds": torch.tensor([point["seconds"] for point in made.points]).double()}, meta)
    return ship(source, source.slug, KIND, key, artifact, {"command": command, "machine": machine}, folder, store=store)


def shipped_costs(dataset: str, *, store: Store | None = None) -> Costs | None:
    """The shipped measurement of a dataset by name, None where there is none."""
    found = shipped(KIND, where=lambda manifest: manifest["about"].get("dataset") == dataset, store=store)
    return next((_costs(kept.meta) for _, kept in found), None)


def _costs(meta: dict[str, Any]) -> Costs:
    machine = meta["machine"]
    note = f"Measured on {machine['cores']} cores ({machine['processor']}, {machine['system']})."
    plan = read_plan(CostPlan, meta["plan"])
    return Costs(meta["dataset"], plan, tuple(meta["points"]), (*meta["notes"], note))
