"""Held-out images that come with the repository, their licence beside them: pages show real ones from a fresh clone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from locality.dataset import Dataset
from locality.datasets.parts.spec import DatasetSpec
from locality.errors import BadInput
from locality.store import Artifact, Store, default_store
from locality.store.atomic import write_atomic

_VERSION = 1


def shipped_excerpt(spec: DatasetSpec) -> Dataset | None:
    """The first `spec.excerpt` held-out images, None where they are not shipped. Raises DigestMismatch."""
    found = default_store().get(spec.name, excerpt_key(spec)) if spec.excerpt else None
    return None if found is None else Dataset(spec.name, "test", spec.shape, found.arrays["pixels"])


def excerpt_key(spec: DatasetSpec) -> dict[str, Any]:
    """What the excerpt depends on.

    Raises:
        BadInput: a set that ships none.
    """
    known = spec.known_fingerprint("test")
    if not spec.excerpt or known is None:
        raise BadInput(f"{spec.text()} ships no images: its licence or its number does not allow it.")
    return {"fingerprint": known, "first": spec.excerpt, "version": _VERSION}


def ship_excerpt(spec: DatasetSpec, folder: Path, command: str) -> Path:
    """Write the excerpt to a folder of shipped files as DATASET/held-out-SIDE, and LICENSE beside it.

    Raises:
        BadInput: a set that ships none.
        DataUnavailable: the images are not on this machine.
    """
    key, images = excerpt_key(spec), spec.load("test").first(spec.excerpt)
    info = spec.info
    about = {"dataset": spec.text(), "images": len(images), "licence": info.licence, "source": info.source}
    home = default_store()
    path = Store(home.local, folder).ship(
        f"held-out-{spec.shape.w}",
        spec.name,
        key,
        Artifact({"pixels": images.data.clone()}),
        {**about, "command": command},
    )
    write_atomic(path.parent / "LICENSE", _notice(spec).encode())
    return path


def _notice(spec: DatasetSpec) -> str:
    info = spec.info
    return (
        f"The photographs in this folder are from {info.title}.\n\n"
        f"Source:  {info.source}\n"
        f"Licence: {info.licence} ({info.licence_url})\n"
        f"Changes: {info.changes}\n\n"
        "They are not under the licence of the program. Statistics, fields and networks made from the whole set name\n"
        f"the same source and licence in the manifests beside them.\n"
    )
