"""The controls of the edits: which, in what order, and their options."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import streamlit as st
from PIL import Image, UnidentifiedImageError

from locality.edits import EDITS, Chain, Clip, EditSpec, MaskedSpec, checked_chain, mask_text, parse_edit, picture_mask
from locality.errors import BadInput, LocalityError
from locality.types import ImageShape
from pages._ui.choice import note
from pages._ui.controls import option, start_option, written
from pages._ui.edit.state import Asked, keep, place_of, resets
from pages._ui.guard import guard

_ORDER = ("pattern", "tie", "spectrum", "shuffle", "shifts", "mirror", "blur", "channels", "mix", "shrink")
_OWN = ("mask",)  # fields that the view has controls of


def choose(asked: Asked, shape: ImageShape) -> None:
    """Draw the controls; what they change is kept at once and the page runs again with it."""
    chain, place = asked.chain, place_of(asked.chain)
    active = min(int(st.session_state.get("edit_active", place)), len(chain) - 1)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        if place > 0:
            active = _choose_active(chain[: place + 1], min(active, place))
        _choose_kind(chain, active, shape)
        changed = _options(chain[active], active, shape, last=active == place)
        if asked.masked is not None and active == place:
            _word_or_picture(chain, shape)
        _add_or_remove(chain, active, shape)
        _clip(asked, shape)
    if changed != chain[active]:
        _keep([*chain[:active], changed, *chain[active + 1 :]], shape)
        st.rerun(scope="fragment")


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
    st.session_state["edit_active"] = int(chosen or 0)
    return int(chosen or 0)


def _choose_kind(chain: Chain, active: int, shape: ImageShape) -> None:
    kinds = [name for name in _ORDER if name in EDITS and _possible(name, shape)]
    key = f"edit_kind_{resets()}_{active}"
    st.session_state.setdefault(key, chain[active].name)
    with st.container(width=160):
        chosen = st.selectbox("Edit", kinds, key=key, format_func=lambda name: EDITS[name].heading)
    if chosen != chain[active].name:
        _add([*chain[:active], EDITS[chosen](), *chain[active + 1 :]], active, shape)


def _possible(name: str, shape: ImageShape) -> bool:
    try:
        EDITS[name]().check(shape)
    except LocalityError:
        return False
    return True


def _options(edit: EditSpec, place: int, shape: ImageShape, *, last: bool) -> EditSpec:
    """The edit with the options of its widgets."""
    prefix = f"edit_{resets()}_{place}_{edit.name}"
    found = {field.name: written(getattr(edit, field.name)) for field in dataclasses.fields(edit)}
    for field in dataclasses.fields(edit):
        if field.name in _OWN or (last and field.name == edit.dial) or (field.name == "colour" and shape.c != 3):
            continue
        start_option(type(edit), field.name, prefix=prefix, text=found[field.name])
        with st.container(width=170 if field.name != "seed" else 110):
            text = option(type(edit), field.name, prefix=prefix)
        found[field.name] = written(field.default) if text is None else text
    with guard():
        made: EditSpec = type(edit).parse(found)
        return made
    return edit


def _word_or_picture(chain: Chain, shape: ImageShape) -> None:
    with st.popover("Word or picture", icon=":material/text_fields:"):
        word = st.text_input("A word as the pattern", max_chars=8, key=f"edit_word_{resets()}", placeholder="HELLO")
        if word and st.button("Take the word", key="edit_take_word"):
            _take(chain, f"text.{word.strip()}", shape)
        st.caption("or")
        file = st.file_uploader(
            "A picture as the pattern", ["png", "jpg", "jpeg", "bmp", "webp", "gif"], key=f"edit_file_{resets()}"
        )
        st.caption(f"Light on dark, or transparent around; scaled to {shape.h} × {shape.w} pixels.")
        if file is not None and st.button("Take the picture", key="edit_take_file"):
            with guard():
                _take(chain, _picture(file, shape), shape)


def _picture(file: Any, shape: ImageShape) -> str:
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
    if _keep([*chain[:place], dataclasses.replace(last, mask=mask), *chain[place + 1 :]], shape, reset=True):
        st.rerun(scope="fragment")


def _add_or_remove(chain: Chain, active: int, shape: ImageShape) -> None:
    with st.popover("Compose", icon=":material/add:"):
        st.markdown("Edits are applied in order, each to what the one before made.")
        kinds = [name for name in _ORDER if _possible(name, shape)]
        kind = st.selectbox("Add", kinds, format_func=lambda name: EDITS[name].heading, key="edit_add_kind")
        first, last = st.columns(2)
        if first.button("Before all", key="edit_add_first", width="stretch"):
            _add([_fresh(kind, chain), *chain], 0, shape)
        if last.button("After all", key="edit_add_last", width="stretch"):
            place = place_of(chain) + 1
            _add([*chain[:place], _fresh(kind, chain), *chain[place:]], place, shape)
        if place_of(chain) > 0 and st.button(
            f"Remove {chain[active].heading.lower()}", key="edit_remove", width="stretch"
        ):
            _add([*chain[:active], *chain[active + 1 :]], max(active - 1, 0), shape)


def _clip(asked: Asked, shape: ImageShape) -> None:
    """A switch for what a picture file does to values beyond [-1, 1]."""
    key = f"edit_clip_{resets()}"
    st.session_state.setdefault(key, asked.clipped)
    wanted = st.toggle(
        "Clip to [−1, 1]",
        key=key,
        help="A pattern pushes values beyond the range of the images. Clipping them, as a picture file would, makes "
        "the closed form inexact: the covariance is then measured on the clipped images, which takes a while.",
    )
    if wanted != asked.clipped:
        _add([*asked.chain, Clip()] if wanted else list(asked.chain[:-1]), place_of(asked.chain), shape)


def _fresh(kind: str, chain: Chain) -> EditSpec:
    """A new edit; a second pattern gets strengths of its own."""
    same = sum(edit.name == kind for edit in chain)
    return parse_edit(f"{kind}:X,seed={same}") if kind == "pattern" and same else EDITS[kind]()


def _add(edits: Sequence[EditSpec], active: int, shape: ImageShape) -> None:
    if _keep(edits, shape, reset=True):
        st.session_state["edit_active"] = active
        st.rerun(scope="fragment")


def _keep(edits: Sequence[EditSpec], shape: ImageShape, *, reset: bool = False) -> bool:
    """Make a chain the session's; one that cannot be says why and changes nothing."""
    with guard():
        chain = checked_chain(edits)
        for edit in chain:
            edit.check(shape)
        keep(chain, reset=reset)
        return True
    return False
