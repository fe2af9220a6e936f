"""Moments of a training: its averaged network at numbers of images in a geometric series, each as a trained network."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from locality.errors import BadInput
from locality.networks.checkpoints.files import MANIFEST, load_manifest, save_network
from locality.networks.parts.spec import NetworkDenoiser
from locality.networks.training.plan import Budget

MOMENTS = "moments"
_FIRST = 1024  # images at the first moment
_SHARED = ("dataset", "licence", "source", "fingerprint", "train", "command")  # by a training and its moments


def moments_of(budget: Budget, count: int) -> tuple[int, ...]:
    """Numbers of images seen at which the moments of a training are due, the last one at its end.

    Raises:
        BadInput: fewer than none, or a budget that does not say how many images there will be.
    """
    if count < 0 or (count and budget.images is None):
        raise BadInput("--moments counts the networks kept along the way: give 0 or more, and --images N.")
    last = budget.images or 0
    first = min(_FIRST, last)
    return tuple(round(last * (first / last) ** (k / max(count - 1, 1))) for k in reversed(range(count)))


def save_moment(folder: Path, denoiser: NetworkDenoiser, images: int, seconds: float) -> None:
    """Keep a network as FOLDER/moments/IMAGES: float16 weights, then a manifest, each in one step."""
    save_network(_place(folder, images), denoiser, {"images_seen": images, "minutes": round(seconds / 60, 1)})


def read_moments(folder: Path) -> dict[int, Path]:
    """Images seen -> the folder of the network then (`load_network`), in order; empty where none was kept.

    Raises:
        BadInput: a damaged manifest.
    """
    places = [path.parent for path in (folder / MOMENTS).glob(f"*/{MANIFEST}")]
    return dict(sorted((int(load_manifest(place)["images_seen"]), place) for place in places))


def of_training(place: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """A moment's manifest with what that of its finished training says of both; any other as it is.

    Raises:
        BadInput: a damaged manifest of the training.
    """
    training = place.absolute().parents[1]
    if "dataset" in manifest or place.absolute().parent.name != MOMENTS or not (training / MANIFEST).exists():
        return manifest
    whole = load_manifest(training)
    return {**{fact: whole[fact] for fact in _SHARED if fact in whole}, **manifest}


def forget_moments(folder: Path) -> None:
    """Remove what an earlier training left in the folder."""
    shutil.rmtree(folder / MOMENTS, ignore_errors=True)


def _place(folder: Path, images: int) -> Path:
    return folder / MOMENTS / str(images)
