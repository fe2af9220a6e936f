"""Taking the page away: fields and mask as npz, the lines that make them again, and the same images on other pages."""

from __future__ import annotations

import numpy as np
import streamlit as st

from locality.datasets import Source
from locality.edits import draw_mask
from locality.grammar import command
from locality.linear.wiener import coordinates
from pages._ui import cached
from pages._ui.choice import link_to
from pages._ui.edit.filters import after_of
from pages._ui.edit.state import Asked
from pages._ui.npz import npz


def offer_export(source: Source, asked: Asked) -> None:
    """A download of the exact fields, code behind a fold, and links to the other pages with these images."""
    row, col = asked.pixel
    left, middle, right = st.columns([1, 2, 2])
    left.download_button(
        "Save numbers (npz)",
        lambda: _numbers(source, asked),
        f"edit-{asked.after(source).slug}-{row}-{col}.npz",
        on_click="ignore",
        key="edit_npz",
        width="stretch",
        help="Predicted fields before and after, [c_out, c_in, row, column], the mask, pixel and noise level.",
    )
    after = asked.after(source)
    with middle.expander("Reproduce this"):
        field = ("--pixel", f"{row},{col}", "--sigma", f"{asked.sigma:.6g}", "--out")
        small = ("--network", "unet:channels=16-32-48", "--minutes", 5, "--out", "mine")
        lines = [
            command("field", *source.words, *field, "before.npz"),
            command("field", *after.words, *field, "after.npz"),
            command("train", *after.words, *small),
            command("sample", *after.words, "--model", "wiener", "-n", 8, "--out", "samples.npz"),
        ]
        st.code("\n".join(lines), "bash", wrap_lines=True)
    with right.expander("Use these images on other pages"):
        query = link_to(after)
        st.page_link(
            "pages/explore/03_Samples.py",
            label="Samples: the pattern in what the models generate",
            icon=":material/grid_view:",
            query_params={**query, "model": ["wiener", "pca_locality"] if source.available else ["wiener"]},
        )
        st.page_link("pages/explore/02_Data.py", label="Data", icon=":material/dataset:", query_params=query)
        st.page_link("pages/explore/01_Explorer.py", label="Explorer", icon=":material/grid_on:", query_params=query)
        st.caption("They stay edited there until “Use them as they are” in the sidebar.")


def _numbers(source: Source, asked: Asked) -> bytes:
    wiener, coords = cached.wiener(source.fingerprint, source), coordinates(source.shape, asked.pixel)
    changed = after_of(source, asked).rows(coords, asked.sigma)
    shape = (-1, *source.shape)
    arrays = {
        "before": wiener.rows(coords, asked.sigma).reshape(shape).numpy(),
        "after": changed.reshape(shape).numpy(),
    }
    if asked.masked is not None:
        arrays["mask"] = draw_mask(asked.masked.mask, source.shape.h, source.shape.w)
    where = {"pixel": np.array(asked.pixel), "sigma": np.float64(asked.sigma)}
    return npz(**arrays, **where, edit=np.array(asked.after(source).text))
