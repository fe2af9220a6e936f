"""Taking the explorer's fields away: numbers as npz, and the lines that reproduce them."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import streamlit as st

from locality.datasets import Source
from locality.studies import Trained
from locality.wiener import WienerFilter
from pages._ui.explorer import fields
from pages._ui.explorer.options import Options
from pages._ui.explorer.view import View


def offer_export(source: Source, wiener: WienerFilter, trained: Trained | None, options: Options, view: View) -> None:
    """A download of the exact fields of the chosen pixel, and the code behind a fold."""

    def numbers() -> bytes:
        found = {
            "predicted": fields.predicted(wiener, view.pixel, view.sigma, options),
            "projection": fields.predicted(wiener, view.pixel, view.sigma, options, projection=True),
        }
        if trained is not None and source.available:
            sha = str(trained.manifest["sha256"])
            found["learned"] = fields.learned(sha, tuple(view.pixel), view.sigma, options, source, trained)
        buffer = BytesIO()
        np.savez(buffer, **found, pixel=np.array(view.pixel), sigma=np.float64(view.sigma))
        return buffer.getvalue()

    row, col = view.pixel
    name = f"field-{source.name}-{row}-{col}-sigma{view.sigma:.3g}.npz"
    left, right = st.columns([1, 3])
    left.download_button("Save numbers (npz)", numbers, name, on_click="ignore", key="npz", width="stretch")
    with right.expander("Reproduce these fields"):
        model = trained.name if trained is not None else "wiener"
        first = f"python -m locality field {source.name} --pixel {row},{col} --sigma {view.sigma:.6g}"
        second = f"{first} --model {model} --draws {options.draws} --out learned.npz"
        st.code(f"{first} --out predicted.npz\n{second}", "bash")
        st.code(
            "from locality.datasets import Source\n"
            "from locality.studies import Draws, finish, pixel_field\n"
            "from locality.types import Pixel\n\n"
            f'source, pixel, sigma = Source.parse("{source.name}"), Pixel({row}, {col}), {view.sigma:.6g}\n'
            f'predicted = finish(pixel_field(source, "wiener", pixel, sigma, Draws()))\n'
            f'learned = finish(pixel_field(source, "{model}", pixel, sigma, Draws({options.draws})))\n'
            "# [c_out, c_in, h, w]; the page shows .sum(dim=(0, 1))",
            "python",
        )
