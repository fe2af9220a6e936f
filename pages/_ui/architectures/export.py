"""Taking the comparison away: the fields as npz, and the lines that reproduce them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from locality.datasets import Source
from locality.fields.codec import LEARNED_SIGMAS
from locality.grammar import command, write_list
from locality.linear.wiener import WienerFilter
from locality.types import Pixel
from pages._ui.architectures import live
from pages._ui.architectures.entries import Entry
from pages._ui.npz import npz


def offer_export(source: Source, wiener: WienerFilter, entries: Sequence[Entry], pixel: Pixel, level: int) -> None:
    """A download of the fields of the chosen pixel at every noise level, and the command lines behind a fold."""
    sigma = LEARNED_SIGMAS[level]

    row, col = pixel
    left, right = st.columns([1, 3])
    left.download_button(
        "Save numbers (npz)",
        lambda: numbers(source, wiener, entries, pixel),
        f"architectures-{source.slug}-{row}-{col}.npz",
        on_click="ignore",
        key="architectures_npz",
        width="stretch",
        help="Every field of the chosen pixel at the six noise levels, [level, row, column], summed over channels.",
    )
    with right.expander("Reproduce this"):
        field = ["field", *source.words, "--pixel", f"{row},{col}", "--sigma", f"{sigma:.6g}"]
        models = [entry.text for entry in entries if entry.trained is not None]
        lines = [command(*field, "--out", "predicted.npz")]
        for name in models:
            lines.append(command(*field, "--model", name, "--draws", 32, "--out", f"{name.replace('/', '_')}.npz"))
        lines.append(command("agreement", *source.words, "--networks", write_list(["wiener", *models])))
        st.code("\n".join(lines), "bash")


def numbers(source: Source, wiener: WienerFilter, entries: Sequence[Entry], pixel: Pixel) -> bytes:
    """npz of every field of the pixel at every stored noise level, [level, row, column]."""
    fields = {}
    for entry in entries:
        found = [live.field_of(source, wiener, entry, pixel, sigma) for sigma in LEARNED_SIGMAS]
        if all(field is not None for field in found):
            fields[entry.text.replace("/", "_")] = np.stack([field for field in found if field is not None])
    about = {"pixel": np.array(pixel), "sigmas": np.array(LEARNED_SIGMAS), "dataset": np.array(source.text)}
    return npz(**fields, **about)
