"""Edits in order, as text: `pattern:W,strength=0.5+blur:2`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from locality.edits.parts.spec import EDITS, EditSpec
from locality.errors import BadInput, UnknownName
from locality.types import ImageShape

Chain = tuple[EditSpec, ...]
_NAMED = re.compile(r"\+(?=[a-z_]+(?:[:+]|$))")


def parse_edit(text: str) -> EditSpec:
    """`name:option=value,...`; a first option without a name is the edit's main one: `pattern:W`.

    Raises:
        UnknownName: no such edit.
        BadInput: an option that does not exist, has no value or is out of range.
    """
    name, _, rest = text.strip().partition(":")
    cls = EDITS[name.strip()]
    options: dict[str, str] = {}
    for i, part in enumerate(filter(None, rest.split(","))):
        option, equals, value = part.partition("=")
        if not equals:
            if i:
                raise BadInput(f"Option {part!r} of the edit {name!r} has no value. Write {name}:{part}=VALUE.")
            option, value = cls.main, part
        options[option.strip()] = value.strip()
    return cls.parse(options)


def parse_chain(text: str) -> Chain:
    """`edit+edit+...`, "" for none. Raises UnknownName, BadInput (see `parse_edit`, `check_chain`)."""
    return checked_chain([parse_edit(part) for part in _NAMED.split(text.strip()) if part])


def split_edits(text: str) -> tuple[str, Chain]:
    """`dataset:options+edit:options+...` -> the dataset's text and the edits.

    Raises:
        UnknownName, BadInput: as `parse_chain`.
    """
    dataset, *parts = _NAMED.split(text.strip())
    known = [parse_edit(part) for part in parts]
    if "+" in dataset.partition(":")[0]:
        raise UnknownName("edit", dataset.partition("+")[2][:40], EDITS)
    return dataset, checked_chain(known)


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
