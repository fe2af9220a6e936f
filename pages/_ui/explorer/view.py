"""What the explorer looks at: a pixel and a noise level, from the component or from the address bar."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from locality.datasets import Source
from locality.fields.codec import SIGMA_HIGH, SIGMA_LOW
from locality.types import ImageShape, Pixel
from pages._ui.choice import note
from pages._ui.lab.mount import Component
from pages._ui.looking import forget_address, restart, share_sigma, shared_sigma, went_back, write_address

COMPONENT = Component(Path(__file__).parent, "explorer")
PAGE, _IMAGES = "explorer", "explorer_images"
DEFAULT_SIGMA = 0.5


@dataclass(frozen=True)
class View:
    """The chosen pixel and noise level; `target` is where fields are wanted, the pixel itself unless the pointer
    rests elsewhere. `want`: nothing more than the prediction, "draws" of the learned field there, or those of the
    `level`-th noise level of the curve. `restored`: the view comes from the address, not from the browser's clicks."""

    pixel: Pixel
    sigma: float
    target: Pixel
    seq: int
    want: str = ""
    level: int = 0
    restored: bool = False


def current_view(source: Source) -> View:
    """The view of this session, clamped to the image, as no browser is trusted; before, what the images open with."""
    value, shape, spec = COMPONENT.chosen(), source.shape, source.spec
    seq = 0 if value is None else int(value["seq"])
    first, before = next(iter(spec.landmarks().values()), None), st.session_state.get(_IMAGES)
    st.session_state[_IMAGES] = spec.name
    anew = value is not None and went_back(PAGE, seq)
    if value is None:
        forget_address(PAGE)
    elif not anew and first is not None and before != spec.name:
        restart(PAGE, "px", seq)  # other images: where they show most
        anew = True
    if value is None or anew:
        pixel, sigma = view_from_url(shape, default=first, sigma=spec.telling_sigma)
        share_sigma(sigma)
        return View(pixel, sigma, pixel, seq, restored=True)
    pixel, sigma = _clamp(shape, *value["pinned"]), min(max(float(value["sigma"]), SIGMA_LOW), SIGMA_HIGH)
    want = str(value["kind"]) if value["kind"] in ("draws", "curve") else ""
    return View(pixel, sigma, _clamp(shape, value["row"], value["col"]), seq, want, int(value.get("level") or 0))


def heard() -> None:
    """Keep what was chosen in the address bar, and the noise level for all pages; runs before the page does."""
    value = COMPONENT.chosen()
    if not value or value["kind"] in ("rest", "draws", "curve"):
        return
    row, col = value["pinned"]
    sigma = min(max(float(value["sigma"]), SIGMA_LOW), SIGMA_HIGH)
    share_sigma(sigma)
    write_address(PAGE, {"px": f"{int(row)}.{int(col)}", "sigma": f"{sigma:.6g}"})
    if value["kind"] == "image":
        st.session_state["image"], st.session_state["index"] = str(value["image"]), max(0, int(value["index"]))


def view_from_url(
    shape: ImageShape, *, default: Pixel | None = None, sigma: float = DEFAULT_SIGMA
) -> tuple[Pixel, float]:
    """Pixel and sigma of the address bar; says what is wrong with them and takes the nearest allowed.

    Where it has none: the `default` pixel, and the noise level of the page before this one, at first `sigma`.
    """
    pixel, usual = default or Pixel((shape.h - 1) // 2, (shape.w - 1) // 2), shared_sigma(sigma)
    if asked := st.query_params.get("px"):
        try:
            row, col = (int(part) for part in asked.split("."))
            pixel = _clamp(shape, row, col)
            if pixel != (row, col):
                sides = f"rows 0–{shape.h - 1} and columns 0–{shape.w - 1}"
                note(f"The link asks for pixel {row}, {col}; the image has {sides}.")
        except ValueError:
            note(f"The link's pixel “{asked[:40]}” is not ROW.COLUMN, for example px=16.16. Showing the first choice.")
    if (asked := st.query_params.get("sigma")) is None:
        return pixel, usual
    value = _number(asked)
    if value is None:
        note(f"The link's noise level “{asked[:40]}” is not a number. Showing σ = {usual:g}.")
        return pixel, usual
    if (found := min(max(value, SIGMA_LOW), SIGMA_HIGH)) != value:
        note(f"The link asks for σ = {value:g}; the slider runs from {SIGMA_LOW:g} to {SIGMA_HIGH:g}.")
    return pixel, found


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _clamp(shape: ImageShape, row: Any, col: Any) -> Pixel:
    return Pixel(min(max(int(row), 0), shape.h - 1), min(max(int(col), 0), shape.w - 1))
