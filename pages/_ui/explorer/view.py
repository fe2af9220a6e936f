"""What the explorer looks at: a pixel and a noise level, from the component or from the address bar."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from locality.fields.codec import SIGMA_HIGH, SIGMA_LOW
from locality.types import ImageShape, Pixel
from pages._ui.choice import note
from pages._ui.lab.mount import Component

COMPONENT = Component(Path(__file__).parent, "explorer")
DEFAULT_SIGMA = 0.5
LANDMARK_SIGMA = 1.2  # where the field of one landmark holds its partner


@dataclass(frozen=True)
class View:
    """The chosen pixel and noise level; `target` is where exact values are wanted, the pixel itself
    unless the pointer rests elsewhere (`resting`)."""

    pixel: Pixel
    sigma: float
    target: Pixel
    resting: bool
    seq: int


def current_view(shape: ImageShape, first: Pixel | None = None) -> View:
    """The view of this session, clamped to the image, as no browser is trusted; `first`, or the centre, to start."""
    value = COMPONENT.chosen()
    if value is None:
        pixel, sigma = view_from_url(shape, default=first, sigma=DEFAULT_SIGMA if first is None else LANDMARK_SIGMA)
        return View(pixel, sigma, pixel, False, 0)
    pixel = _clamp(shape, *value["pinned"])
    sigma = min(max(float(value["sigma"]), SIGMA_LOW), SIGMA_HIGH)
    return View(pixel, sigma, _clamp(shape, value["row"], value["col"]), value["kind"] == "rest", int(value["seq"]))


def write_url() -> None:
    """Keep the chosen pixel and noise level in the address bar."""
    value = COMPONENT.chosen()
    if value and value["kind"] != "rest":
        row, col = value["pinned"]
        st.query_params["px"] = f"{int(row)}.{int(col)}"
        st.query_params["sigma"] = f"{float(value['sigma']):.6g}"


def view_from_url(
    shape: ImageShape, *, default: Pixel | None = None, sigma: float = DEFAULT_SIGMA
) -> tuple[Pixel, float]:
    """Pixel and sigma of the address bar; says what is wrong with them and takes the nearest allowed."""
    pixel, usual = default or Pixel((shape.h - 1) // 2, (shape.w - 1) // 2), sigma
    if asked := st.query_params.get("px"):
        try:
            row, col = (int(part) for part in asked.split("."))
            pixel = _clamp(shape, row, col)
            if pixel != (row, col):
                sides = f"rows 0–{shape.h - 1} and columns 0–{shape.w - 1}"
                note(f"The link asks for pixel {row}, {col}; the image has {sides}.")
        except ValueError:
            note(f"The link's pixel “{asked[:40]}” is not ROW.COLUMN, for example px=16.16. Showing the centre.")
    if asked := st.query_params.get("sigma"):
        value = _number(asked)
        if value is None:
            note(f"The link's noise level “{asked[:40]}” is not a number. Showing σ = {usual:g}.")
        else:
            sigma = min(max(value, SIGMA_LOW), SIGMA_HIGH)
            if sigma != value:
                note(f"The link asks for σ = {value:g}; the slider runs from {SIGMA_LOW:g} to {SIGMA_HIGH:g}.")
    return pixel, sigma


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _clamp(shape: ImageShape, row: Any, col: Any) -> Pixel:
    return Pixel(min(max(int(row), 0), shape.h - 1), min(max(int(col), 0), shape.w - 1))
