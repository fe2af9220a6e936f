"""Networks trained on edited images, and what an edit does to the values of images."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from locality.datasets import Source
from locality.edits import EditSpec
from locality.errors import LocalityError
from locality.store import Store
from locality.studies.trained import Trained, trained_networks

LOOKED_AT = 1000  # images whose values are counted


def trained_on_edit(source: Source, edit: EditSpec, *, store: Store | None = None) -> list[tuple[float, Trained]]:
    """Networks trained on these images with the edit at whatever strength: (strength, network), weakest first."""
    found = []
    for network in trained_networks(store=store):
        level = _level(source, edit, network.dataset)
        if level is not None:
            found.append((level, network))
    return sorted(found, key=lambda one: one[0])


def trained_on_these(source: Source, *, store: Store | None = None) -> list[Trained]:
    """Networks trained on these images: under their name, then under that of an edit at strength 0."""
    found = trained_networks(store=store)
    named = [network for network in found if network.dataset == source.text]
    return named + [network for network in found if _unmoved(source, network.dataset)]


def _unmoved(source: Source, dataset: str) -> bool:
    """Whether a dataset's name is these images with edits that do nothing."""
    more = _further(source, dataset)
    return len(more) > 0 and all(edit.dial and edit.level == 0.0 for edit in more)


def _level(source: Source, edit: EditSpec, dataset: str) -> float | None:
    """The strength of the edit in a dataset's name, None where it is another dataset or edit."""
    match _further(source, dataset):
        case [last]:
            same = last == edit or (last.dial and last.name == edit.name and last.scaled(edit.level) == edit)
            return last.level if same else None
    return None


def _further(source: Source, dataset: str) -> tuple[EditSpec, ...]:
    """Edits a dataset's name has after the source's own; none where it is of other images."""
    try:
        trained = Source.parse(dataset)
    except LocalityError:
        return ()  # trained where other datasets or edits were known
    own = len(source.edits)
    same = trained.spec == source.spec and trained.edits[:own] == source.edits
    return trained.edits[own:] if same else ()


@dataclass(frozen=True)
class Overflow:
    """Values of `images` edited images that left [-1, 1]: their share, and by how much the worst does."""

    images: int
    share: float
    largest: float


def overflow(source: Source) -> Overflow:
    """What clipping to [-1, 1] would change, counted on the first thousand held-out images.

    Raises:
        DataUnavailable: the images are not on this machine.
    """
    x0 = source.first_held_out(LOOKED_AT).x0(slice(None))
    beyond = (x0.abs() - 1.0).clamp(min=0.0)
    outside = beyond > torch.finfo(torch.float32).eps * 4
    return Overflow(len(x0), float(outside.double().mean()), float(beyond.max()))
