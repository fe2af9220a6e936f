"""The fields of one stored pixel and noise level: exact, from a table, or computed after a click."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from locality.datasets import Source
from locality.device import Compute
from locality.fields.jacobian import pixel_outputs, reduce_inputs
from locality.linear.wiener import WienerFilter
from locality.store import default_store
from locality.studies import Draws, find_members, finish, learned_field, table_row
from locality.types import Denoiser, Pixel
from pages._ui.architectures.entries import Entry
from pages._ui.explorer import fields
from pages._ui.explorer.options import Options

Array = NDArray[np.float32]
DRAWS = Draws(16)
PLAIN = Options("Test image", 0, True, "mean", None, "sum", DRAWS.count, False, ())
DRAWN = Options("Draw from the statistics", 0, True, "mean", None, "sum", DRAWS.count, False, ())


def field_of(source: Source, wiener: WienerFilter, entry: Entry, pixel: Pixel, sigma: float) -> Array | None:
    """Field of an entry, summed over channels, [h, w]; None where it needs images that are not on this machine."""
    if entry.trained is None:
        return fields.predicted(wiener, pixel, sigma, PLAIN)
    if entry.table is not None:
        place, level = entry.table.meta["pixels"].index(list(pixel)), entry.table.meta["sigmas"].index(sigma)
        row: Array = table_row(entry.table, level, place).reshape(source.shape.h, source.shape.w).numpy()
        return row
    if not source.available:
        return None
    return fields.learned(entry.sha256, tuple(pixel), sigma, PLAIN, source, entry.trained)


def twin_of(source: Source, entry: Entry, pixel: Pixel, sigma: float) -> Array:
    """Field of the same architecture as it starts."""
    return _untrained_field(twin_name(entry), source.fingerprint, tuple(pixel), sigma, source)


def twin_name(entry: Entry) -> str:
    """The untrained network of an entry as a model's name."""
    return f"untrained:{entry.text}"


@st.cache_data(max_entries=512, show_spinner="Computing fields of untrained networks…")
def _untrained_field(name: str, fingerprint: str, pixel: tuple[int, int], sigma: float, _source: Source) -> Array:
    outputs = pixel_outputs(_source.shape, Pixel(*pixel))
    field = learned_field(_untrained(name, fingerprint, _source), DRAWS.images(_source), outputs, sigma, DRAWS)
    found: Array = reduce_inputs(field.values[0], "sum").numpy()
    return found


@st.cache_resource(max_entries=16, show_spinner=False)
def _untrained(name: str, fingerprint: str, _source: Source) -> Denoiser:
    _, member = find_members(_source, ["wiener", name], DRAWS.seed)
    return finish(member.open(store=default_store(), compute=Compute()))
