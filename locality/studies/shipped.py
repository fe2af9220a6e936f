"""The one way of a result into the repository and back: an artefact beside its manifest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from locality.datasets import Source
from locality.errors import TooLarge
from locality.specs import Spec
from locality.store import Artifact, Store, default_store

S = TypeVar("S", bound=Spec)
LARGEST = 50 * 10**6  # bytes of a file that a clone still takes without a thought


def ship(
    source: Source,
    name: str,
    kind: str,
    key: Mapping[str, Any],
    artifact: Artifact,
    about: Mapping[str, Any],
    folder: Path,
    *,
    store: Store | None = None,
) -> Path:
    """Write an artefact and its manifest as folder/kind/name; returns the payload's path.

    Args:
        about: how it was made; the dataset's name and licence are added.
    Raises:
        TooLarge: more than 50 MB.
        BadInput: a name that is no file name, or values JSON cannot hold.
        DigestMismatch: the disk gave other bytes back.
    """
    size = sum(array.numel() * array.element_size() for array in artifact.arrays.values())
    if size > LARGEST:
        raise TooLarge(f"The file {kind}/{name}", size, LARGEST, "Keep it in the local cache: leave --ship out.")
    facts = {"dataset": source.text, **source.licence(), **about}
    return Store((store or default_store()).local, folder).ship(name, kind, key, artifact, facts)


def shipped(
    kind: str, *, where: Callable[[Mapping[str, Any]], bool] = lambda manifest: True, store: Store | None = None
) -> Iterator[tuple[dict[str, Any], Artifact]]:
    """Key and artefact of what is shipped of a kind, by name; damaged ones are logged and left out.

    Args:
        where: which manifests.
    """
    home = store or default_store()
    for manifest in filter(where, home.shipped(kind)):
        kept = home.get(kind, manifest["key"])
        if kept is not None:
            yield manifest["key"], kept


def read_plan(cls: type[S], kept: Mapping[str, Any]) -> S:
    """A plan from its fields as JSON gives them back, tuples as lists. Raises BadInput."""
    return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in kept.items()})
