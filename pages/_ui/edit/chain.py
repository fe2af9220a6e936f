"""The controls of the edits: which, in what order, and their options."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import streamlit as st
from PIL import Image, UnidentifiedImageError

from locality.edits import EDITS, Chain, EditSpec, MaskedSpec, checked_chain, mask_text, picture_mask
from locality.errors import BadInput, LocalityError
from locality.grammar import value_text
from locality.types import ImageShape
from pages._ui.choice import note
from pages._ui.controls import option, start_option
from pages._ui.edit.state import Asked, keep, place_of, resets
from pages._ui.guard import guard

_OWN = ("mask",)  # fields that the view has controls of
_ACTIVE = "edit_active"
_PICTURES = ["png", "jpg", "jpeg", "bmp", "webp", "gif"]


def choose(asked: Asked, shape: ImageShape) -> Asked:
    """Draw the controls; what they change is kept, in the link too. Returns what is asked for with it."""
    chain, place = asked.chain, place_of(asked.chain)
    active = min(int(st.session_state.get(_ACTIVE, place)), place)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        if place > 0:
            active = _choose_active(chain[: place + 1], active)
        _choose_kind(chain, active, shape)
        changed = _options(chain[active], active, shape, last=active == place)
        if asked.masked is not None and active == place:
            _word_or_picture(chain, shape)
        _compose(chain, active, shape)
        _switches(asked, shape)
    if changed == chain[active]:
        return asked
    _keep([*chain[:active], changed, *chain[active + 1 :]], shape)
    return dataclasses.replace(asked, chain=(*chain[:active], changed, *chain[active + 1 :]))


def _choose_active(chain: Chain, active: int) -> int:
    key = f"edit_which_{resets()}"
    st.session_state.setdefault(key, active)
    chosen = st.segmented_control(
        "Edits, in order",
        range(len(chain)),
        key=key,
        format_func=lambda i: f"{i + 1} {chain[i].heading}",
        required=True,
        help="The slider and the mask below are those of the last one.",
    )
    st.session_state[_ACTIVE] = int(chosen or 0)
    return int(chosen or 0)


def _choose_kind(chain: Chain, active: int, shape: ImageShape) -> None:
    key = f"edit_kind_{resets()}_{active}"
    st.session_state.setdefault(key, chain[active].name)

    def change() -> None:
        _keep([*chain[:active], EDITS[st.session_state[key]](), *chain[active + 1 :]], shape, active=active)

    with st.container(width=160):
        st.selectbox("Edit", _kinds(shape), key=key, format_func=_heading, on_change=change)


def _kinds(shape: ImageShape) -> list[str]:
    """Edits that images of a shape can have."""
    found = []
    for name in EDITS.listed():
        try:
            EDITS[name]().check(shape)
        except LocalityError:
            continue
        found += [] if EDITS[name].switch else [name]
    return found


def _heading(name: str) -> str:
    return EDITS[name].heading


def _options(edit: EditSpec, place: int, shape: ImageShape, *, last: bool) -> EditSpec:
    """The edit with the options of its widgets; as it is where they make none."""
    prefix = f"edit_{resets()}_{place}_{edit.name}"
    found = {field.name: value_text(getattr(edit, field.name)) for field in dataclasses.fields(edit)}
    for field in dataclasses.fields(edit):
        if field.name in _OWN or (last and field.name == edit.dial) or (field.name == "colour" and shape.c != 3):
            continue
        start_option(type(edit), field.name, prefix=prefix, text=found[field.name])
        with st.container(width=110 if field.name == "seed" else 170):
            text = option(type(edit), field.name, prefix=prefix)
        found[field.name] = value_text(field.default) if text is None else text
    with guard():
        made: EditSpec = type(edit).parse(found)
        return made
    return edit


def _word_or_picture(chain: Chain, shape: ImageShape) -> None:
    with st.popover("Word or picture", icon=":material/text_fields:"):
        word = st.text_input("A word as the pattern", max_chars=8, key=f"edit_word_{resets()}", placeholder="HELLO")
        st.button(
            "Use the word",
            key="edit_take_word",
            disabled=not word,
            on_click=lambda: _take(chain, f"text.{word.strip()}", shape),
        )
        st.caption("or")
        file = st.file_uploader("A picture as the pattern", _PICTURES, key=f"edit_file_{resets()}")
        st.caption(f"Light on dark, or on a transparent background; scaled to {shape.h} × {shape.w} pixels.")
        st.button(
            "Use the picture",
            key="edit_take_file",
            disabled=file is None,
            on_click=lambda: _take_picture(chain, file, shape),
        )


def _take_picture(chain: Chain, file: Any, shape: ImageShape) -> None:
    try:
        _take(chain, picture_text(file, shape), shape)
    except LocalityError as error:
        note(str(error))


def picture_text(file: Any, shape: ImageShape) -> str:
    """A picture file as a mask of the images' size. Raises BadInput."""
    try:
        with Image.open(file) as image:
            if image.size != (shape.w, shape.h):
                note(f"The picture of {image.height} × {image.width} pixels is scaled to {shape.h} × {shape.w}.")
            return mask_text(picture_mask(image, (shape.h, shape.w)))
    except (OSError, UnidentifiedImageError, ValueError, Image.DecompressionBombError) as error:
        raise BadInput(f"{file.name} cannot be read as a picture ({type(error).__name__}). Give a PNG.") from None


def _take(chain: Chain, mask: str, shape: ImageShape) -> None:
    place = place_of(chain)
    last = chain[place]
    assert isinstance(last, MaskedSpec)
    _keep([*chain[:place], dataclasses.replace(last, mask=mask), *chain[place + 1 :]], shape, active=place)


def _compose(chain: Chain, active: int, shape: ImageShape) -> None:
    with st.popover("Compose", icon=":material/add:"):
        st.markdown("Edits are applied in order, each to the result of the one before.")
        kind = st.selectbox("Add", _kinds(shape), format_func=_heading, key="edit_add_kind")
        behind = place_of(chain) + 1

        def add(place: int) -> None:
            _keep([*chain[:place], EDITS[kind].another(chain), *chain[place:]], shape, active=place)

        first, last = st.columns(2)
        first.button("Before all", key="edit_add_first", width="stretch", on_click=add, args=(0,))
        last.button("After all", key="edit_add_last", width="stretch", on_click=add, args=(behind,))
        if behind > 1:
            st.button(
                f"Remove {chain[active].heading.lower()}",
                key="edit_remove",
                width="stretch",
                on_click=lambda: _keep([*chain[:active], *chain[active + 1 :]], shape, active=max(active - 1, 0)),
            )


def _switches(asked: Asked, shape: ImageShape) -> None:
    """One switch for each edit that is put at the end or left out."""
    behind = place_of(asked.chain) + 1
    for name in EDITS.listed():
        cls = EDITS[name]
        if not cls.switch:
            continue
        key = f"edit_{name}_{resets()}"
        st.session_state.setdefault(key, any(edit.name == name for edit in asked.chain[behind:]))

        def change(key: str = key, cls: type[EditSpec] = cls) -> None:
            others = [edit for edit in asked.chain[behind:] if not isinstance(edit, cls)]
            added = [cls()] if st.session_state[key] else []
            _keep([*asked.chain[:behind], *others, *added], shape, active=behind - 1)

        st.toggle(cls.switch, key=key, on_change=change, help=cls.switch_help)


def _keep(edits: Sequence[EditSpec], shape: ImageShape, *, active: int | None = None) -> None:
    """Make a chain the session's; one that cannot be says why and changes nothing.

    With `active` the controls start again from it, at that edit.
    """
    try:
        chain = checked_chain(edits)
        for edit in chain:
            edit.check(shape)
    except LocalityError as error:
        note(str(error))
        if active is not None:
            st.session_state["edit_reset"] = resets() + 1  # the widgets go back to what still holds
        return
    keep(chain, reset=active is not None)
    if active is not None:
        st.session_state[_ACTIVE] = active
