"""Taking the explorer's fields away: numbers as npz, the view as one file, the lines that reproduce them."""

from __future__ import annotations

import shlex
from urllib.parse import urlencode

import numpy as np
import streamlit as st

from locality.datasets import Source
from locality.grammar import command
from locality.linear.wiener import WienerFilter
from locality.studies import Trained
from pages._ui.explorer import fields, files, live
from pages._ui.explorer.options import Options
from pages._ui.explorer.standalone import expected_size, standalone
from pages._ui.explorer.view import View
from pages._ui.npz import npz


def offer_export(source: Source, wiener: WienerFilter, trained: Trained | None, options: Options, view: View) -> None:
    """Downloads of the chosen pixel's fields, and the code behind a fold: all of the same draws."""
    options = options.saved

    def numbers() -> bytes:
        found = {
            "predicted": fields.predicted(wiener, view.pixel, view.sigma, options),
            "projection": fields.predicted(wiener, view.pixel, view.sigma, options, projection=True),
        }
        if trained is not None and source.shows_held_out:
            learned = live.estimate_of(source, trained, options, view.pixel, view.sigma).estimate(options.draws)
            sides = (wiener.shape.h, wiener.shape.w)
            found |= {"learned": learned.values.numpy().reshape(sides), "stderr": learned.stderr.numpy().reshape(sides)}
            found["draws"] = np.array(learned.draws)
        where = {"pixel": np.array(view.pixel), "sigma": np.float64(view.sigma)}
        return npz(**found, **where, dataset=np.array(source.text))

    row, col = view.pixel
    name = f"field-{source.slug}-{row}-{col}-sigma{view.sigma:.3g}.npz"
    left, middle, right = st.columns([1, 1, 2])
    left.download_button("Save numbers (npz)", numbers, name, on_click="ignore", key="npz", width="stretch")
    with middle:
        _offer_file(source, wiener, trained, options, view)
    with right.expander("Reproduce these fields"):
        model = trained.name if trained is not None else "wiener"
        first = command("field", *source.words, "--pixel", f"{row},{col}", "--sigma", f"{view.sigma:.6g}")
        second = f"{first} --model {shlex.quote(model)} --draws {options.draws} --out learned.npz"
        st.code(f"{first} --out predicted.npz\n{second}", "bash")
        st.code(
            "from locality.datasets import Source\n"
            "from locality.studies import Draws, finish, pixel_field\n"
            "from locality.types import Pixel\n\n"
            f"source, pixel, sigma = Source.parse({source.text!r}), Pixel({row}, {col}), {view.sigma:.6g}\n"
            f'predicted = finish(pixel_field(source, "wiener", pixel, sigma, Draws()))\n'
            f"learned = finish(pixel_field(source, {model!r}, pixel, sigma, Draws({options.draws})))\n"
            "# [c_out, c_in, h, w]; the page shows .sum(dim=(0, 1))",
            "python",
        )


def _offer_file(source: Source, wiener: WienerFilter, trained: Trained | None, options: Options, view: View) -> None:
    """A download of the view as one HTML file, made when it is clicked."""
    if not files.tables_fit(wiener.shape):
        st.caption("One HTML file would hold the fields of every pixel: too large for these images.")
        return
    query, size = _link(view), expected_size(wiener)
    wait = "a few seconds" if options.stored else "up to a minute, since the options ask for fields that are not stored"
    st.download_button(
        f"One HTML file (≈ {size:.2g} MB)",
        lambda: standalone(source, wiener, trained, options, view, query),
        f"locality-{source.slug}-{view.pixel.row}-{view.pixel.col}.html",
        mime="text/html",
        on_click="ignore",
        key="html",
        help=f"This view with hover, slider and keys, for a lecture without a network. Made when you click: {wait}.",
        width="stretch",
    )


def _link(view: View) -> str:
    """The address bar's query with the chosen pixel and noise level, which it lacks before the first click."""
    asked = {key: st.query_params.get_all(key) for key in st.query_params}
    asked |= {"px": [f"{view.pixel.row}.{view.pixel.col}"], "sigma": [f"{view.sigma:.6g}"]}
    return urlencode(asked, doseq=True)
