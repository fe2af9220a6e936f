"""Mounting the view: its script joined to the explorer's functions, its data packed into one buffer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st
from numpy.typing import NDArray

from pages._ui.edit.state import KEY
from pages._ui.explorer.mount import joined, pack

_HERE = Path(__file__).parent
_SHARED = _HERE.parent / "explorer"
_PARTS = ("plant", "paint", "measured", "masschart", "board", "view")

_COMPONENT = st.components.v2.component(
    "locality_edit",
    html=(_HERE / "view.html").read_text(encoding="utf-8"),
    css=(_HERE / "style.css").read_text(encoding="utf-8"),
    js=joined(
        *(_SHARED / f"{name}.js" for name in ("math", "picture", "basis")), *(_HERE / f"{name}.js" for name in _PARTS)
    ),
)


def edit_view(head: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Show the view; what is chosen in it comes back through the session state, see `state.asked`."""
    _COMPONENT(key=KEY, data=pack(head, arrays), default={"view": None}, on_view_change=_ignore, width="stretch")


def _ignore() -> None:
    """A change needs no callback of its own: the rerun reads it."""
