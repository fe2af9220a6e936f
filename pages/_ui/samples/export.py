"""Taking the images away: a contact sheet, and all numbers."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import streamlit as st
from PIL import Image, ImageDraw, ImageFont

from locality.datasets import Source
from locality.studies import Sampling
from pages._ui.images import contact_sheet, photo
from pages._ui.npz import npz
from pages._ui.samples.rows import Row

LEFT, TOP = 190, 34  # pixels for the names of the models, and for the title
_GAP, _SIZE = 8, 15


def offer_downloads(source: Source, sampling: Sampling, rows: Sequence[Row]) -> None:
    """Two buttons and the command lines, for the rows that are finished."""
    done = [row for row in rows if row.state == "done"]
    if not done:
        return
    rounded = any(row.shipped for row in done)
    name = f"samples-{source.slug}-seed{sampling.seed}"
    with st.container(horizontal=True):
        st.download_button(
            "Contact sheet (PNG)",
            lambda: sheet(source, sampling, done),
            f"{name}.png",
            "image/png",
            icon=":material/download:",
            on_click="ignore",
            help="The final images of the finished rows, with names.",
        )
        st.download_button(
            "Numbers (npz)",
            lambda: numbers(source, sampling, done),
            f"{name}.npz",
            "application/octet-stream",
            icon=":material/download:",
            on_click="ignore",
            help="x0_hat and x of every step, [models, steps, images, channels, rows, columns], sigmas, names of "
            f"models and dataset.{' Shipped samples are rounded to 8 bits.' if rounded else ''}",
        )


def sheet(source: Source, sampling: Sampling, rows: Sequence[Row]) -> bytes:
    """PNG of the final images, a row a model with its name, below what was asked for."""
    pictures = [photo(image, source.shape) for row in rows for image in row.x0_hat[-1]]
    images = contact_sheet(pictures, columns=sampling.count, scale=max(1, 128 // source.shape.w))
    body = Image.open(io.BytesIO(images))
    made = Image.new("RGB", (LEFT + body.width, TOP + body.height), "white")
    made.paste(body, (LEFT, TOP))
    draw, font = ImageDraw.Draw(made), ImageFont.load_default(_SIZE)
    title = f"{source.text}: {sampling.steps} steps from the same noise (seed {sampling.seed})"
    draw.text((_GAP, _GAP), title, fill="black", font=font)
    for i, row in enumerate(rows):
        middle = TOP + (i + 0.5) * body.height / len(rows)
        lines = row.text.replace(":", ":\n").replace(",", ",\n")
        draw.multiline_text((_GAP, middle), lines, fill="black", font=font, anchor="lm")
    buffer = io.BytesIO()
    made.save(buffer, "PNG")
    return buffer.getvalue()


def numbers(source: Source, sampling: Sampling, rows: Sequence[Row]) -> bytes:
    """npz of all steps of all finished rows."""
    shape = (len(rows), sampling.steps, sampling.count, *source.shape)
    return npz(
        x0_hat=np.stack([row.x0_hat.numpy() for row in rows]).reshape(shape),
        x=np.stack([row.x.numpy() for row in rows]).reshape(shape),
        sigmas=np.array(sampling.sigmas()),
        models=np.array([row.text for row in rows]),
        dataset=np.array(source.text),
    )
