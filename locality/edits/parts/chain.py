"""Edits in order, as text: `pattern:W,strength=0.5+blur:2`."""

from __future__ import annotations

from collections.abc import Sequence

from locality.edits.parts.spec import EDITS, EditSpec
from locality.errors import BadInput
from locality.grammar import Item, read_chain
from locality.types import ImageShape

Chain = tuple[EditSpec, ...]


def parse_edit(text: str) -> EditSpec:
    """`name:option=value,...`; a first option without a name is the edit's main one: `pattern:W`.

    Raises:
        UnknownName: no such edit.
        BadInput: an option that does not exist, has no value or is out of range.
    """
    return EDITS.parse(text)


def parse_chain(text: str) -> Chain:
    """`edit+edit+...`, "" for none. Raises UnknownName, BadInput (see `parse_edit`, `checked_chain`)."""
    words = EDITS.words()
    return chain_of(read_chain(text, words, words)) if text.strip() else ()


def chain_of(items: Sequence[Item]) -> Chain:
    """Edits from their names and options. Raises as `parse_chain`."""
    return checked_chain([EDITS[name].parse(options) for name, options in items])


def checked_chain(edits: Sequence[EditSpec]) -> Chain:
    """The edits, unless two of them conflict.

    Raises:
        BadInput: names the two and what to do.
    """
    for i, edit in enumerate(edits):
        for earlier in edits[:i]:
            if why := edit.conflicts(earlier):
                raise BadInput(f"{earlier.text()} and then {edit.text()} conflict: {why}")
    return tuple(edits)


def check_chain(edits: Chain, shape: ImageShape) -> None:
    """Refuse edits that do not fit images of a shape. Raises BadInput."""
    for edit in edits:
        edit.check(shape)


def chain_text(edits: Sequence[EditSpec]) -> str:
    """The text `parse_chain` reads."""
    return "+".join(edit.text() for edit in edits)
