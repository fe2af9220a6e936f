"""The filters of the page; what does not depend on what changes most, the strength and the noise, is kept."""

from __future__ import annotations

import streamlit as st
import torch
from torch import Tensor

from locality.datasets import Source
from locality.edits import PlantedSpec
from locality.errors import DataUnavailable
from locality.fields.rows import Linear, rows
from locality.linear.planted import Planted
from locality.linear.spectrum import power_spectrum
from locality.linear.wiener import WienerFilter
from locality.studies import Overflow, overflow, pixel_grid, planted_filter
from pages._ui import cached
from pages._ui.edit.state import Asked

STEP = 2  # every second pixel of rows and columns, as the stored fields have


def planted_of(source: Source, asked: Asked) -> Planted | None:
    """The filter for every strength; the expectation where the images' own covariance with them is not known."""
    if asked.planted is None:
        return None
    before = asked.before(source)
    same = asked.planted.scaled(1.0)  # of any strength
    return _planted(before.fingerprint, same.text(), before, asked.planted)


@st.cache_resource(max_entries=32, show_spinner=False)
def _planted(fingerprint: str, pattern: str, _before: Source, _pattern: PlantedSpec) -> Planted:
    base = cached.wiener(fingerprint, _before)
    try:
        return planted_filter(base, _before, _pattern)
    except DataUnavailable:
        weights = _pattern.weights(_before.shape)
        return Planted(base, weights, torch.zeros_like(weights), 1.0)


def fitted(source: Source) -> WienerFilter:
    """The filter of images as they are given."""
    return cached.wiener(source.fingerprint, source)


def after_of(source: Source, asked: Asked) -> Linear:
    """The filter of the edited images: from two vectors where a pattern is planted, else fitted to them."""
    planted = planted_of(source, asked)
    return planted.at(asked.main.level) if planted else fitted(asked.after(source))


def grid_fields(source: Source, asked: Asked) -> tuple[Tensor, Tensor]:
    """Predicted fields of every second pixel before and after, summed over channels [p hw]."""
    first, planted = _grid(source.fingerprint, asked.sigma, source), planted_of(source, asked)
    if planted is None:
        after = asked.after(source)
        return first, _grid(after.fingerprint, asked.sigma, after)
    before = asked.before(source)
    own = torch.tensor([row * source.shape.w + col for row, col in pixel_grid(source.shape, STEP)])
    plain = _grid(before.fingerprint, asked.sigma, before)
    return first, planted.fields(plain, own, asked.sigma, asked.main.level)


@st.cache_resource(max_entries=16, show_spinner=False)
def _grid(fingerprint: str, sigma: float, _source: Source) -> Tensor:
    return rows(fitted(_source), pixel_grid(_source.shape, STEP), sigma).summed()[:, 0]


def power_before(source: Source) -> Tensor:
    """Power spectrum of images as they are given [h w]."""
    return _power(source.fingerprint, source)


def power_after(source: Source, asked: Asked) -> Tensor:
    """Power spectrum of the edited images [h w]."""
    planted = planted_of(source, asked)
    if planted is None:
        return power_before(asked.after(source))
    return power_before(asked.before(source)) + planted.power_change(asked.main.level)


@st.cache_data(max_entries=16, show_spinner=False)
def _power(fingerprint: str, _source: Source) -> Tensor:
    return power_spectrum(fitted(_source))


def beyond(source: Source) -> Overflow:
    """What of the values of these images leaves [-1, 1]."""
    return _beyond(source.fingerprint, source)


@st.cache_data(max_entries=64, show_spinner=False)
def _beyond(fingerprint: str, _source: Source) -> Overflow:
    return overflow(_source)
