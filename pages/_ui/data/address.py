"""Numbers of the address bar, checked before a widget sees them: what is wrong is said, not dropped in silence.

(Streamlit's own binding drops what it cannot read, and takes a number between the steps of a slider.)
"""

from __future__ import annotations

import math

import streamlit as st

from locality.fields.codec import SIGMA_HIGH, SIGMA_LOW
from pages._ui.choice import note
from pages._ui.looking import follow_sigma, share_sigma

DEFAULT_SIGMA = 0.5
LAST_SEED = 9999
FEWEST, MOST, STEP, COUNT = 12, 96, 12, 48  # images shown: full rows, whatever the width

_DEFAULTS = {"sigma": DEFAULT_SIGMA, "seed": 0, "count": COUNT}


def read_address() -> None:
    """Start the widgets `data_sigma`, `data_seed` and `data_count` from the link; messages go to the top."""
    readers = {
        "sigma": _sigma,
        "seed": lambda text: _whole("seed", text, 0, LAST_SEED, 1),
        "count": lambda text: _whole("count", text, FEWEST, MOST, STEP),
    }
    for name, default in _DEFAULTS.items():
        asked = st.query_params.get(name)
        if f"data_{name}" not in st.session_state:
            st.session_state[f"data_{name}"] = default if asked is None else readers[name](asked)
            if name == "sigma" and asked is not None:
                share_sigma(st.session_state["data_sigma"])
    follow_sigma("data_sigma")


def write_address(name: str) -> None:
    """Keep the value of a widget in the address bar; a default needs no mention."""
    text = f"{st.session_state[f'data_{name}']:.6g}"
    if st.query_params.get(name, f"{_DEFAULTS[name]:.6g}") != text:
        st.query_params[name] = text


def _whole(name: str, asked: str, low: int, high: int, step: int) -> int:
    if asked.isascii() and asked.isdigit() and len(asked) < 12 and int(asked) in range(low, high + 1, step):
        return int(asked)
    default = int(_DEFAULTS[name])
    every = f" in steps of {step}" if step > 1 else ""
    note(
        f"The link asks for {name} “{asked[:40]}”; it can be a whole number from {low} to {high}{every}. "
        f"Showing {default} instead."
    )
    return default


def _sigma(asked: str) -> float:
    try:
        value = float(asked)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        note(f"The link's noise level “{asked[:40]}” is not a number. Showing σ = {DEFAULT_SIGMA:g} instead.")
        return DEFAULT_SIGMA
    if not SIGMA_LOW <= value <= SIGMA_HIGH:
        note(f"The link asks for σ = {value:g}; it can be {SIGMA_LOW:g} to {SIGMA_HIGH:g}. Showing the nearest.")
    return min(max(value, SIGMA_LOW), SIGMA_HIGH)
