"""What the page looks at: a stored pixel and noise level, and how they are compared. From the browser or the link."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from locality.types import ImageShape, Pixel
from pages._ui.choice import note
from pages._ui.explorer.view import view_from_url
from pages._ui.lab.mount import Component

COMPONENT = Component(Path(__file__).parent, "architectures")
_SAME = 0.02  # of ln sigma: a level that a link has with fewer digits
CHOICES = {"measure": ("pearson", "off_centre", "cosine"), "scope": ("pixel", "study"), "colours": ("linear", "symlog")}


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


def current_view(shape: ImageShape, pixels: Sequence[Pixel], sigmas: Sequence[float], names: Sequence[str]) -> View:
    """The nearest stored pixel and noise level to what is asked for; kept in the address bar."""
    allowed: dict[str, Sequence[str]] = {**CHOICES, "reference": names}
    value = COMPONENT.chosen()
    if value is None:
        pixel, sigma = view_from_url(shape)
        asked = {name: _listed(name, known) for name, known in allowed.items()}
        place, level = nearest_pixel(pixels, pixel), nearest_level(sigmas, sigma)
        if "px" in st.query_params and pixels[place] != pixel:
            row, col = pixels[place]
            note(f"Fields are stored for every second pixel: {row}, {col} in place of {pixel.row}, {pixel.col}.")
        if "sigma" in st.query_params and abs(math.log(sigmas[level] / sigma)) > _SAME:
            stored = ", ".join(f"{one:.2g}" for one in sigmas)
            note(f"Fields are stored for σ = {stored}: {sigmas[level]:.3g} in place of {sigma:.3g}.")
        return View(place, level, **asked, seq=0)
    place = nearest_pixel(pixels, Pixel(int(value["row"]), int(value["col"])))
    level = nearest_level(sigmas, float(value["sigma"]))
    st.query_params["px"] = f"{pixels[place].row}.{pixels[place].col}"
    st.query_params["sigma"] = f"{sigmas[level]:.6g}"
    parts = {name: value[name] if value.get(name) in known else known[0] for name, known in allowed.items()}
    for name, known in allowed.items():
        if parts[name] == known[0]:
            st.query_params.pop(name, None)
        else:
            st.query_params[name] = parts[name]
    return View(place, level, **parts, seq=int(value["seq"]))


def nearest_pixel(pixels: Sequence[Pixel], pixel: Pixel) -> int:
    """Number of the pixel of the list that is nearest, the first of equals."""
    return min(range(len(pixels)), key=lambda i: (pixels[i].row - pixel.row) ** 2 + (pixels[i].col - pixel.col) ** 2)


def nearest_level(sigmas: Sequence[float], sigma: float) -> int:
    """Number of the noise level of the list that is nearest in ln sigma."""
    target = math.log(max(sigma, 1e-9))
    return min(range(len(sigmas)), key=lambda i: abs(math.log(sigmas[i]) - target))


def _listed(name: str, allowed: Sequence[str]) -> str:
    asked = st.query_params.get(name)
    if asked is not None and asked not in allowed:
        note(f"The link asks for {name} “{asked[:40]}”; there is {', '.join(allowed)}. Showing {allowed[0]}.")
    return asked if asked in allowed else allowed[0]
