"""The training image nearest to each finished image, kept in the store beside it."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from locality.datasets import Source
from locality.store import Artifact, default_store
from locality.studies import nearest_training
from locality.work import Progress

_KIND, _VERSION = "samples_nearest", 1


@dataclass(frozen=True, eq=False)
class Nearest:
    """By image: row of the nearest training image, L2 distance to it and to the second nearest, in [-1, 1] units."""

    rows: Tensor
    distances: Tensor
    seconds: Tensor


def search(source: Source, drawn: Mapping[str, Tensor]) -> Generator[Progress, None, None]:
    """Find and keep the nearest training images of the images [n d] of each key; nothing where none are here."""
    missing = {key: images for key, images in drawn.items() if kept(key) is None}
    if not missing or not source.available:
        return
    found = yield from nearest_training(source, torch.cat(list(missing.values())))
    rows, distances, seconds = (part.split([len(images) for images in missing.values()]) for part in found)
    for i, key in enumerate(missing):
        arrays = {"rows": rows[i].clone(), "distances": distances[i].clone(), "seconds": seconds[i].clone()}
        default_store().put(_KIND, _address(key), Artifact(arrays))


def kept(key: str) -> Nearest | None:
    """What was found for a key before."""
    found = default_store().get(_KIND, _address(key))
    return None if found is None else Nearest(**found.arrays)


def _address(key: str) -> dict[str, str | int]:
    return {"samples": key, "version": _VERSION}
