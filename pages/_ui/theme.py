"""What the theme cannot say: text on the primary colour is dark where that is light."""

from __future__ import annotations

import streamlit as st

_STYLE = """<style>
button[kind^="primary"] p, button[kind^="primary"] span, [data-testid="stMultiSelect"] span[title],
[data-testid="stMultiSelect"] span[title] ~ * { color: light-dark(#ffffff, #0f171d); }
</style>"""


def style() -> None:
    """White on the dark theme's primary colour has a contrast of 2.3; its background colour on it has 8."""
    st.html(_STYLE)
