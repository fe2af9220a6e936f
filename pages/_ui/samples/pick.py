"""The clicked pixel: of which model, image and step. From the browser, else from the address bar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from locality.datasets import Source
from locality.studies import Sampling
from locality.types import Pixel
from pages._ui.choice import note
from pages._ui.samples.mount import COMPONENT
from pages._ui.samples.rows import Row

_URL = "pick"


@dataclass(frozen=True)
class Pick:
    """A pixel of one image of a model at a step; all numbers from 0."""

    model: str
    sample: int
    pixel: Pixel
    step: int

    def numbers(self, rows: Sequence[Row]) -> list[int]:
        """Row of the grid, image, pixel row, pixel column, step."""
        return [[row.text for row in rows].index(self.model), self.sample, *self.pixel, self.step]


def current_pick(source: Source, sampling: Sampling, rows: Sequence[Row]) -> Pick | None:
    """The pixel to explain, None where none is chosen or its model is not in the grid; kept in the link."""
    value = COMPONENT.chosen()
    if value is not None:
        at = [value.get(name) for name in ("sample", "row", "col", "step")]
        pick = _checked(str(value.get("model")), at, source, sampling, rows)
    else:
        pick = _from_link(source, sampling, rows)
    text = "" if pick is None else ".".join(map(str, pick.numbers(rows)))
    if not text:
        st.query_params.pop(_URL, None)
    elif st.query_params.get(_URL) != text:
        st.query_params[_URL] = text
    return pick


def _from_link(source: Source, sampling: Sampling, rows: Sequence[Row]) -> Pick | None:
    asked = st.query_params.get(_URL)
    if asked is None:
        return None
    parts = asked.split(".")
    if len(parts) == 5 and all(part.isascii() and part.isdigit() and len(part) < 6 for part in parts):
        model, *rest = map(int, parts)
        if model < len(rows) and (found := _checked(rows[model].text, rest, source, sampling, rows)) is not None:
            return found
    note(f"The link's pixel “{asked[:40]}” is not MODEL.IMAGE.ROW.COLUMN.STEP of this grid. Click one instead.")
    return None


def _checked(model: str, at: Sequence[object], source: Source, sampling: Sampling, rows: Sequence[Row]) -> Pick | None:
    """A pick inside the grid; a browser is never trusted."""
    _, h, w = source.shape
    for number, size in zip(at, (sampling.count, h, w, sampling.steps), strict=True):
        if not (isinstance(number, int) and 0 <= number < size):
            return None
    if model not in [row.text for row in rows]:
        return None
    sample, row, col, step = (int(number) for number in at)  # type: ignore[call-overload]
    return Pick(model, sample, Pixel(row, col), step)
