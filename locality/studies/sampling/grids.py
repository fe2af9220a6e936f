"""Sample grids that come with the repository: what the Samples page opens on, in 8 bits, without images or waiting.

A grid holds every step's estimate x0_hat of some models from the same noise, as codes over the range of its values,
so that it is off by at most 1/510 of that range; x of every step follows from these by the sampler's own rule.
"""

from __future__ import annotations

import dataclasses
import lzma
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from locality.datasets import Source
from locality.device import machine_facts
from locality.errors import BadInput, LocalityError
from locality.grammar import command
from locality.sampler import ddim, initial, start_noise
from locality.store import Artifact, Store, default_store
from locality.store.artifact import canonical
from locality.studies.models import Model, find_model
from locality.studies.sampling.config import Sampling, Trajectory
from locality.studies.sampling.nearest import Found, nearest_training
from locality.studies.sampling.samples import sample
from locality.studies.shipped import read_plan, ship, shipped
from locality.work import Progress, map_progress

KIND, VERSION = "sample_grids", 1


@dataclass(frozen=True, eq=False)
class Grid:
    """Trajectories by model, as `find_model` names it, and of each image (row, distance, second distance) of the
    nearest training images as `nearest_training` gives them."""

    sampling: Sampling
    drawn: dict[str, Trajectory]
    nearest: dict[str, Found]


def make_grid(
    source: Source, models: Sequence[str], sampling: Sampling, *, store: Store | None = None
) -> Generator[Progress, None, Grid]:
    """Draw with every model, or read what was drawn, and look for the nearest training images.

    Raises:
        BadInput: no model, only some training images, or noise added on the way, from which x does not follow.
        DataUnavailable: the images are not on this machine. Else as `sample`.
    """
    if not models or source.first is not None:
        raise BadInput("A sample grid is of all training images and at least one model: leave out --first, give one.")
    if sampling.sampler != "ddim" or sampling.eta:
        raise BadInput("A sample grid is drawn by ddim without added noise: leave out --sampler and --eta.")
    drawn: dict[str, Trajectory] = {}
    nearest: dict[str, Found] = {}
    for i, text in enumerate(models):

        def told(event: Progress, i: int = i, text: str = text) -> Progress:
            return Progress(i + event.fraction, len(models), f"{text}: {event.note}")

        began = time.perf_counter()
        drawn[text] = yield from map_progress(sample(source, text, sampling, store=store), told)
        yield Progress(i + 1, len(models), f"{text}: {time.perf_counter() - began:.1f} s; nearest training images")
        nearest[text] = yield from map_progress(nearest_training(source, drawn[text].image), told)
    return Grid(sampling, drawn, nearest)


def ship_grid(source: Source, made: Grid, to: Path, *, store: Store | None = None) -> Path:
    """Write a grid to a folder of shipped files as sample_grids/DATASET; returns the payload's path."""
    store = store or default_store()
    who = {text: identity(find_model(source, text, store=store)) for text in made.drawn}
    key = {"fingerprint": source.fingerprint, "models": who, "sampling": made.sampling.key(), "version": VERSION}
    arrays: dict[str, Tensor] = {}
    facts = []
    for i, (text, trajectory) in enumerate(made.drawn.items()):
        codes, low, high = encode(trajectory.x0_hat)
        arrays[f"{i}.codes"] = codes
        arrays |= {f"{i}.{name}": part for name, part in zip(_NEAR, made.nearest[text], strict=True)}
        facts.append({"model": text, "low": low, "high": high, "seconds": trajectory.seconds, "who": who[text]})
    meta = {"models": facts, "sampling": dataclasses.asdict(made.sampling), "shape": list(source.shape)}
    words = [word for text in made.drawn for word in ("--model", text)] + made.sampling.typed(count="-n")
    about = {
        "models": list(made.drawn),
        "seed": made.sampling.seed,
        "command": command("sample-grid", *source.words, *words, "--ship", "cache/shipped"),
        "machine": machine_facts(),
    }
    return ship(source, source.slug, KIND, key, Artifact(arrays, meta), about, to, store=store)


_NEAR = ("nearest", "distance", "second")


def shipped_grid(source: Source, *, store: Store | None = None) -> Grid | None:
    """The grid of a dataset, of those models that are still what they were; None where there is none.

    Raises:
        DataUnavailable: the digest of the images is not known.
    """
    store = store or default_store()

    def wanted(manifest: Mapping[str, Any]) -> bool:
        about, key = manifest["about"], manifest["key"]
        return bool(about.get("dataset") == source.text and key["fingerprint"] == source.fingerprint)

    kept = next((artifact for _, artifact in shipped(KIND, where=wanted, store=store)), None)
    if kept is None or source.first is not None:
        return None
    sampling = read_plan(Sampling, kept.meta["sampling"])
    drawn: dict[str, Trajectory] = {}
    nearest: dict[str, Found] = {}
    for i, facts in enumerate(kept.meta["models"]):
        if _still(source, facts, store):
            codes = kept.arrays[f"{i}.codes"]
            shape = (sampling.steps, sampling.count, source.shape.d)
            x0_hat = decode(codes, facts["low"], facts["high"], shape)
            drawn[facts["model"]] = replayed(source, x0_hat, sampling, facts["seconds"])
            nearest[facts["model"]] = tuple(kept.arrays[f"{i}.{name}"] for name in _NEAR)  # type: ignore[assignment]
    return Grid(sampling, drawn, nearest) if drawn else None


def identity(model: Model) -> dict[str, Any]:
    """What a model is beside the images: known without them, unlike `Model.key`."""
    weights = None if model.network is None else model.network.manifest.get("sha256")
    return {"spec": None if model.spec is None else model.spec.key(), "weights": weights}


def _still(source: Source, facts: Mapping[str, Any], store: Store) -> bool:
    """Whether a model is here and is the one that drew."""
    try:
        return bool(canonical(identity(find_model(source, facts["model"], store=store))) == canonical(facts["who"]))
    except LocalityError:
        return False


def replayed(source: Source, x0_hat: Float[Tensor, "s n d"], sampling: Sampling, seconds: float) -> Trajectory:
    """The trajectory whose estimates are these: the noisy images follow from the first noise by the sampler's rule."""
    levels = sampling.sigmas()
    said = iter(x0_hat)

    class Said:
        shape = source.shape

        def __call__(self, x: Float[Tensor, "n d"], sigma: float) -> Float[Tensor, "n d"]:
            estimate: Tensor = next(said)
            return estimate

    x_T = initial(start_noise(source.shape, sampling.count, sampling.seed), levels[0], sampling.start)
    x = torch.stack([step.x for step in ddim(Said(), x_T, levels, clip=sampling.clip)])
    return Trajectory(x, x0_hat, levels, source.shape, seconds)


def encode(x0_hat: Float[Tensor, "s n d"]) -> tuple[UInt8[Tensor, " k"], float, float]:
    """Codes of 8 bits over the range of the values, as differences from step to step, xz-packed; and the range."""
    low, high = float(x0_hat.min()), float(x0_hat.max())
    codes = ((x0_hat - low) * (255.0 / max(high - low, 1e-9))).round().to(torch.uint8).numpy()
    steps = np.diff(codes, axis=0, prepend=np.zeros_like(codes[:1]))  # modulo 256
    packed = lzma.compress(steps.tobytes(), preset=9)
    return torch.frombuffer(bytearray(packed), dtype=torch.uint8), low, high


def decode(packed: UInt8[Tensor, " k"], low: float, high: float, shape: tuple[int, int, int]) -> Float[Tensor, "s n d"]:
    """What `encode` packed."""
    steps = np.frombuffer(lzma.decompress(packed.numpy().tobytes()), np.uint8).reshape(shape)
    codes = np.cumsum(steps, axis=0, dtype=np.uint8)
    return torch.from_numpy(codes).float() * ((high - low) / 255.0) + low
