"""A finished benchmark as one compact file: scores of every image, first samples; read back without any images."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch

from locality.artifact import Artifact
from locality.datasets import Source, slug
from locality.errors import BadInput
from locality.store import Store, default_store
from locality.studies.benchmark._entrants import Group
from locality.studies.benchmark._gather import bench_command
from locality.studies.benchmark._plan import BenchPlan
from locality.studies.benchmark._result import Result
from locality.studies.benchmark._rows import Bench
from locality.types import ImageShape

KIND, VERSION = "bench", 1
SHOWN = 8  # images of each model that are kept


def ship_bench(source: Source, made: Bench, folder: Path, *, store: Store | None = None) -> Path:
    """Write a benchmark to a folder of shipped files as bench/DATASET-REFERENCE; returns the payload's path.

    With presets or fewer training images the name says so: tables and ablations lie side by side.

    Raises:
        BadInput: cells are missing.
    """
    if made.missing:
        raise BadInput(f"{len(made.missing)} cells are not finished: run the benchmark to its end before shipping it.")
    home = store or default_store()
    key = {"fingerprint": source.fingerprint, "plan": made.plan.key(), "dataset": source.name, "version": VERSION}
    about = {
        "dataset": made.dataset,
        "reference": made.reference,
        "ceiling": made.ceiling,
        "n": made.plan.count,
        "models": made.names,
        "command": f"{bench_command(source, made.plan)} --ship cache/shipped",
        **source.credit,
    }
    return Store(home.local, folder).ship(bench_name(source, made.plan), KIND, key, pack(made), about)


def bench_name(source: Source, plan: BenchPlan) -> str:
    """What a shipped benchmark is called."""
    first = [] if source.first is None else [f"first{source.first}"]
    return "-".join([source.slug, slug(Path(plan.reference).name), *first, *plan.presets])


def shipped_benches(*, store: Store | None = None) -> list[Bench]:
    """The benchmarks of the repository, by name; damaged ones are logged and left out."""
    home = store or default_store()
    kept = (home.get(KIND, manifest["key"]) for manifest in home.shipped(KIND))
    return [unpack(artifact) for artifact in kept if artifact is not None]


def pack(made: Bench) -> Artifact:
    """A benchmark as an artefact: scores as float32, and the images that are shown: of ablations none are."""
    arrays: dict[str, torch.Tensor] = {}
    for i, result in enumerate(made.results):
        arrays |= {f"{i}.score.{name}": values.float() for name, values in result.scores.items()}
        arrays |= {f"{i}.have.{name}": mask.to(torch.uint8) for name, mask in result.have.items()}
        arrays[f"{i}.images"] = result.images[: 0 if made.plan.presets else SHOWN]
    kept = ("name", "kind", "notes", "sigmas", "facts")
    meta: dict[str, Any] = {
        **{name: getattr(made, name) for name in ("dataset", "reference", "ceiling", "train_images", "notes", "facts")},
        "shape": list(made.shape),
        "plan": {field.name: getattr(made.plan, field.name) for field in dataclasses.fields(made.plan)},
        "results": [{name: getattr(result, name) for name in kept} for result in made.results],
        "distances": list(made.distances),
        "groups": [dataclasses.asdict(group) for group in made.groups],
    }
    return Artifact(arrays, meta)


def unpack(kept: Artifact) -> Bench:
    """The benchmark of an artefact made by `pack`: the same rows but for the rounding of scores to float32."""
    meta, arrays = kept.meta, kept.arrays

    def named(i: int, part: str) -> dict[str, torch.Tensor]:
        head = f"{i}.{part}."
        return {name.removeprefix(head): array for name, array in arrays.items() if name.startswith(head)}

    results = tuple(
        Result(
            about["name"],
            about["kind"],
            tuple(about["notes"]),
            tuple(about["sigmas"]),
            about["facts"],
            {name: values.double() for name, values in named(i, "score").items()},
            {name: mask.bool() for name, mask in named(i, "have").items()},
            arrays[f"{i}.images"],
        )
        for i, about in enumerate(meta["results"])
    )
    plan: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in meta["plan"].items()}
    return Bench(
        dataset=meta["dataset"],
        shape=ImageShape(*meta["shape"]),
        reference=meta["reference"],
        ceiling=meta["ceiling"],
        plan=BenchPlan(**plan),
        train_images=meta["train_images"],
        results=results,
        distances=tuple(meta["distances"]),
        groups=tuple(Group(g["preset"], g["baseline"], tuple(g["variants"])) for g in meta["groups"]),
        notes=tuple(meta["notes"]),
        facts=meta["facts"],
    )
