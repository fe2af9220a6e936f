"""The explorer's folded controls; every one is in the address bar."""

from __future__ import annotations

from dataclasses import dataclass, replace

import streamlit as st

from locality.datasets import Source
from locality.fields.jacobian import Average, Inputs
from locality.types import ImageShape
from pages._ui.choice import linked_select, note

MOST = 128  # draws that are added while the pointer rests
SAVED = 32  # draws of what is saved where the options ask for ever more: the same whenever it is saved
_LAST = 9999
_GROWING, _DRAWS = "More and more", ("1", "4", "16", "32", "64", "256")
_ABOUT_DRAWS = (
    f"A draw is a held-out image with noise of its own. Stored draws come first, and up to {MOST} more are added while "
    "the pointer rests. A number instead: just the first so many."
)
_COLOURS = ("Red", "Green", "Blue")
_IMAGES = ("Test image", "Training image", "Mean image", "Draw from the statistics")
_INPUTS: dict[str, Inputs] = {"Signed sum": "sum", "Root of squares": "rss", "Sum of sizes": "abs"}
# Links hold the names above; people read these.
_SHOWN = {"Signed sum": "Sum", "Root of squares": "L2", "Sum of sizes": "L1"}


@dataclass(frozen=True)
class Options:
    """How fields are averaged, reduced over channels and drawn."""

    image: str
    index: int
    noise: bool
    average: Average
    output: int | None
    inputs: Inputs | int
    draws: int
    symlog: bool
    extra: tuple[str, ...]
    growing: bool = False  # stored draws count, and more are added while somebody looks, `draws` at most

    @property
    def reduction(self) -> Options:
        """What makes a field another one: none of what only draws it differently."""
        return Options("", 0, True, self.average, self.output, self.inputs, 0, False, ())

    @property
    def stored(self) -> bool:
        """Whether the stored tables (signed, summed over channels) show what is asked for."""
        return self.average == "mean" and self.output is None and self.inputs == "sum"

    @property
    def saved(self) -> Options:
        """The same with a fixed number of draws, from the first: what a file holds and a command repeats."""
        return replace(self, draws=SAVED, growing=False) if self.growing else self


def choose_options(source: Source) -> Options:
    """Draw the controls and read them."""
    here = {"Test image": source.shows_held_out, "Training image": source.available}
    images = [name for name in _IMAGES if here.get(name, True)]
    with st.expander("Options"):
        one, two, three, four = st.columns(4)
        with one:
            image = linked_select("Image", images, key="image")
            index = _index(source.spec.telling_image)
            noise = st.toggle("Add the noise to the image", True, key="noise", bind="query-params")
        with two:
            average = linked_select("Average of the learned field", ("Signed mean", "Mean size"), key="average")
            draws = linked_select("Draws of the learned field", (_GROWING, *_DRAWS), key="draws", help=_ABOUT_DRAWS)
        with three:
            output, inputs = _channels(source.shape)
        with four:
            scale = linked_select("Colour scale", ("Symmetric log", "Linear"), key="scale")
            extra = st.pills(
                "More panels", ("Projection", "Difference"), selection_mode="multi", key="extra", bind="query-params"
            )
    return Options(
        image,
        int(index),
        noise,
        "mean" if average == "Signed mean" else "absolute",
        output,
        inputs,
        MOST if draws == _GROWING else int(draws),
        scale != "Linear",
        tuple(name.lower() for name in extra or ()),
        draws == _GROWING,
    )


def _index(usual: int) -> int:
    asked = st.query_params.get("index", "0")
    if not (asked.isdecimal() and int(asked) <= _LAST):
        note(f"The link asks for image number “{asked[:20]}”; give 0–{_LAST}. Showing image {usual}.")
    return int(st.number_input("Number of the image", 0, _LAST, usual, key="index", bind="query-params"))


def _channels(shape: ImageShape) -> tuple[int | None, Inputs | int]:
    if shape.c == 1:
        return None, "sum"
    outs, ins = ("All, summed", *_COLOURS), (*_INPUTS, *_COLOURS)
    out = linked_select("Output channel", outs, key="output")
    into = linked_select("Input channels", ins, key="inputs", format_func=lambda name: _SHOWN.get(name, name))
    chosen: Inputs | int = _INPUTS[into] if into in _INPUTS else _COLOURS.index(into)
    return (None if out == outs[0] else _COLOURS.index(out)), chosen
