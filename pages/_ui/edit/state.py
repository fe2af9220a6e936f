"""What the page is at: the edits in order, a pixel, a noise level and a network. From the browser or the link."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import streamlit as st

from locality.datasets import Source
from locality.edits import (
    Chain,
    EditSpec,
    MaskedSpec,
    PlantedSpec,
    chain_text,
    checked_chain,
    draw_mask,
    mask_names,
    parse_chain,
)
from locality.errors import LocalityError
from locality.fields.codec import SIGMA_HIGH, SIGMA_LOW
from locality.studies import pixel_grid
from locality.types import ImageShape, Pixel
from pages._ui.choice import EDIT, note
from pages._ui.explorer.view import view_from_url
from pages._ui.lab.mount import Component
from pages._ui.looking import share_sigma

COMPONENT = Component(Path(__file__).parent, "edit_view")
USUAL = "pattern:W"
USUAL_SIGMA = 2.0
COLOURS = ("symlog", "linear")  # colour scales; a pattern is faint beside the field's own pixel on a linear one
_CHAIN, _SEQ, _RESET = "edit_chain", "edit_seq", "edit_reset"


@dataclass(frozen=True)
class Asked:
    """What is shown: `chain` is what is done to the images, in order; `seq` counts the browser's wishes."""

    chain: Chain
    pixel: Pixel
    sigma: float
    network: str
    colours: str
    seq: int

    @property
    def main(self) -> EditSpec:
        """The edit that the view's slider and mask belong to: the last one but for a clip."""
        return self.chain[place_of(self.chain)]

    @property
    def clipped(self) -> bool:
        """Whether the edited values are brought back to [-1, 1] at the end."""
        return self.main is not self.chain[-1]

    @property
    def planted(self) -> PlantedSpec | None:
        """The main edit where it is a pattern and nothing follows: strength and mask are followed in the browser."""
        return self.main if isinstance(self.main, PlantedSpec) and not self.clipped else None

    @property
    def masked(self) -> MaskedSpec | None:
        """The main edit where it has a mask, which can be painted."""
        return self.main if isinstance(self.main, MaskedSpec) else None

    def before(self, source: Source) -> Source:
        """The images without the main edit."""
        return source.edited(self.chain[: place_of(self.chain)])

    def after(self, source: Source) -> Source:
        """The images with all edits."""
        return source.edited(self.chain)


def asked(source: Source) -> Asked:
    """What the session, the link and the browser ask for; a browser is never trusted."""
    shape = source.shape
    chain = _started(shape)
    value = COMPONENT.chosen()
    if value is None:
        pixel, sigma = view_from_url(shape, default=_on_the_pattern(chain, shape), sigma=USUAL_SIGMA)
        network, colours = str(st.query_params.get("shown", "")), _colours(st.query_params.get("colours"))
        return Asked(chain, pixel, sigma, network, colours, 0)
    if int(value["seq"]) > st.session_state.get(_SEQ, 0):
        st.session_state[_SEQ] = int(value["seq"])
        chain = _heard(chain, value, shape)
        keep(chain)
    pixel = Pixel(min(max(int(value["row"]), 0), shape.h - 1), min(max(int(value["col"]), 0), shape.w - 1))
    sigma = min(max(float(value["sigma"]), SIGMA_LOW), SIGMA_HIGH)
    colours = _colours(value.get("colours"))
    found = Asked(chain, pixel, sigma, str(value.get("network", "")), colours, int(value["seq"]))
    st.query_params.update({"px": f"{pixel.row}.{pixel.col}", "sigma": f"{sigma:.6g}"})
    share_sigma(sigma)
    if found.network:
        st.query_params["shown"] = found.network
    if colours == COLOURS[0]:
        st.query_params.pop("colours", None)
    else:
        st.query_params["colours"] = colours
    return found


def _colours(text: Any) -> str:
    return str(text) if text in COLOURS else COLOURS[0]


def keep(chain: Chain, *, reset: bool = False) -> None:
    """Make a chain the session's, in the link too; `reset`: the widgets of its options start again from it."""
    text = chain_text(chain)
    st.session_state[_CHAIN] = text
    if text == chain_text(parse_chain(USUAL)):
        st.query_params.pop(EDIT, None)
    else:
        st.query_params[EDIT] = text
    if reset:
        st.session_state[_RESET] = resets() + 1


def place_of(chain: Chain) -> int:
    """Number of the last edit that is no switch, as the clip is; of the last one where all are."""
    return max((i for i, edit in enumerate(chain) if not edit.switch), default=len(chain) - 1)


def resets() -> int:
    """How often the widgets of the options have started again: part of their keys."""
    return int(st.session_state.get(_RESET, 0))


def named(mask: str, shape: ImageShape) -> str:
    """The name of a shape where painted pixels are just that shape: networks know it by its name."""
    drawn = draw_mask(mask, shape.h, shape.w)
    return next((name for name in mask_names() if (draw_mask(name, shape.h, shape.w) == drawn).all()), mask)


def _started(shape: ImageShape) -> Chain:
    """The session's chain, at first that of the link; one that does not fit the images gives way to the usual one."""
    text = st.session_state.get(_CHAIN) or st.query_params.get(EDIT) or USUAL
    try:
        chain = parse_chain(text)
        for edit in chain:
            edit.check(shape)
        if not chain:
            raise LocalityError("There is no edit in it.")
    except LocalityError as error:
        note(f"These edits cannot be shown: {error} Showing {USUAL}.")
        chain = parse_chain(USUAL)
        keep(chain, reset=True)
    st.session_state[_CHAIN] = chain_text(chain)
    return chain


def _heard(chain: Chain, value: dict[str, Any], shape: ImageShape) -> Chain:
    """The chain with the mask and the strength of the browser, where the last edit has them."""
    place = place_of(chain)
    last = chain[place]
    try:
        if isinstance(last, MaskedSpec) and value.get("mask"):
            last = replace(last, mask=named(str(value["mask"]), shape))
            last.check(shape)
        if last.dial and value.get("level") is not None and math.isfinite(float(value["level"])):
            last = last.scaled(float(value["level"]))
        return checked_chain([*chain[:place], last, *chain[place + 1 :]])
    except LocalityError as error:
        note(str(error))
        return chain


def _on_the_pattern(chain: Chain, shape: ImageShape) -> Pixel | None:
    """The pixel of the main edit's mask that is nearest to the middle, of those whose learned fields are stored."""
    last = chain[place_of(chain)]
    if not isinstance(last, MaskedSpec):
        return None
    mask = draw_mask(last.mask, shape.h, shape.w)
    middle = ((shape.h - 1) / 2, (shape.w - 1) / 2)
    places = [(row, col) for row in range(shape.h) for col in range(shape.w) if mask[row, col]]
    stored = set(pixel_grid(shape, 2))  # as `precompute` stores them
    places = [place for place in places if place in stored] or places
    return Pixel(*min(places, key=lambda place: (place[0] - middle[0]) ** 2 + (place[1] - middle[1]) ** 2))
