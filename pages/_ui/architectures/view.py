"""What the page looks at: a stored pixel and noise level, and how they are compared. From the browser or the link."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from locality.schedule import nearest_level
from locality.studies import nearest_pixel
from locality.types import ImageShape, Pixel
from pages._ui.choice import note
from pages._ui.explorer.view import view_from_url
from pages._ui.lab.mount import Component
from pages._ui.looking import SNAP, share_sigma

COMPONENT = Component(Path(__file__).parent, "architectures")
CHOICES = {"measure": ("pearson", "off_centre", "cosine"), "scope": ("pixel", "study"), "colours": ("symlog", "linear")}


@dataclass(frozen=True)
class View:
    """Numbers of the pixel in `pixels` and of the noise level in the list of levels; `seq` counts the clicks."""

    place: int
    level: int
    measure: str
    scope: str
    colours: str
    reference: str
    seq: int
    snapped: str = ""  # what was asked for that has no stored field, and what stands in for it


def current_view(shape: ImageShape, pixels: Sequence[Pixel], sigmas: Sequence[float], names: Sequence[str]) -> View:
    """The nearest stored pixel and noise level to what is asked for; kept in the address bar."""
    allowed: dict[str, Sequence[str]] = {**CHOICES, "reference": names}
    value = COMPONENT.chosen()
    if value is None:
        pixel, sigma = view_from_url(shape)
        asked = {name: _listed(name, known) for name, known in allowed.items()}
        place, level = nearest_pixel(pixels, pixel), nearest_level(sigmas, sigma)
        return View(place, level, **asked, seq=0, snapped=_snapped(pixel, sigma, pixels[place], sigmas[level]))
    place = nearest_pixel(pixels, Pixel(int(value["row"]), int(value["col"])))
    level = nearest_level(sigmas, float(value["sigma"]))
    st.query_params.update({"px": f"{pixels[place].row}.{pixels[place].col}", "sigma": f"{sigmas[level]:.6g}"})
    if value.get("kind") == "noise":  # a click alone does not make another page's noise level that of the table here
        share_sigma(sigmas[level])
    parts = {name: value[name] if value.get(name) in known else known[0] for name, known in allowed.items()}
    for name, known in allowed.items():
        if parts[name] == known[0]:
            st.query_params.pop(name, None)
        else:
            st.query_params[name] = parts[name]
    return View(place, level, **parts, seq=int(value["seq"]))


def _snapped(pixel: Pixel, sigma: float, near: Pixel, level: float) -> str:
    parts = []
    if pixel != near:
        parts.append(f"row {near.row}, column {near.col} for {pixel.row}, {pixel.col}")
    if abs(level / sigma - 1) > SNAP:
        parts.append(f"σ = {level:.3g} for {sigma:.3g}")
    return f"Showing the nearest stored fields: {' and '.join(parts)}." if parts else ""


def _listed(name: str, allowed: Sequence[str]) -> str:
    asked = st.query_params.get(name)
    if asked is not None and asked not in allowed:
        note(f"The link asks for {name} “{asked[:40]}”; there is {', '.join(allowed)}. Showing {allowed[0]}.")
    return asked if asked in allowed else allowed[0]
