"""The participants of a sweep: the edited images at every strength, the pixels, the networks trained on them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool
from torch import Tensor

from locality.datasets import Source
from locality.edits import EditSpec, MaskedSpec
from locality.errors import UnknownName
from locality.store import Store
from locality.studies.trained import Trained, trained_networks
from locality.types import ImageShape, Pixel

Members = dict[float, list[tuple[str, Trained]]]


def at_strength(source: Source, edit: EditSpec, strength: float) -> Source:
    """The images with the edit at a strength; at 0 as they are. Raises BadInput."""
    scaled = edit.scaled(strength)
    return source.edited((*source.edits, scaled)) if strength else source


def mask_of(edit: EditSpec, shape: ImageShape) -> Bool[Tensor, "h w"] | None:
    """The pixels of an edit that has a mask."""
    return edit.pattern(shape) != 0 if isinstance(edit, MaskedSpec) else None


def pixels_along(mask: Bool[Tensor, "h w"] | None, shape: ImageShape, count: int) -> list[Pixel]:
    """Up to `count` pixels of a mask, evenly spaced in reading order; without one the middle of the image."""
    if mask is None:
        return [Pixel((shape.h - 1) // 2, (shape.w - 1) // 2)]
    places = torch.nonzero(mask).tolist()
    count = min(count, len(places))
    return [Pixel(*places[(2 * i + 1) * len(places) // (2 * count)]) for i in range(count)]


def chance_around(chance: float, shape: ImageShape) -> float:
    """The share of all pixels but the field's own that a mask covers, for fields of its pixels; `chance`: of all."""
    size = shape.h * shape.w
    return (chance * size - 1) / (size - 1)


def participating_networks(
    source: Source, edit: EditSpec, steps: dict[float, Source], wanted: Sequence[str] | None, store: Store
) -> tuple[Members, list[str]]:
    """The networks trained at each strength, by name, and notes on those that lack one.

    Raises:
        UnknownName: a wanted network is trained at none of the strengths.
    """
    trained = {c: trained_networks(edited.text, store=store) for c, edited in steps.items()}
    plain = {c for c, edited in steps.items() if edited.edits == source.edits}
    unmoved = trained_networks(source.edited((*source.edits, edit.scaled(0.0))).text, store=store) if plain else []
    kinds = {network.name: network.manifest["network"] for c in steps if c not in plain for network in trained[c]}
    missing = next((name for name in wanted or () if name not in kinds), None)
    if missing is not None:
        raise UnknownName(f"network trained on edited {source.text} images", missing, kinds)
    kinds = {name: kind for name, kind in sorted(kinds.items()) if wanted is None or name in wanted}
    found: Members = {}
    notes = []
    for c in steps:
        found[c] = []
        for name, kind in kinds.items():
            match = [one for one in (unmoved if c in plain else trained[c]) if one.name == name]
            match += [one for one in trained[c] if c in plain and one.manifest["network"] == kind]
            if match:
                found[c].append((name, match[0]))
            elif c in plain:
                notes.append(f"{name}: no network of its architecture is trained on the images as they are.")
    return found, notes
