"""Mounting the view: its script joined to the explorer's functions, its pictures packed into one buffer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st
from numpy.typing import NDArray

from pages._ui.explorer.mount import joined, pack

KEY = "architectures"
_HERE = Path(__file__).parent
_SHARED = _HERE.parent / "explorer"
_PARTS = ("measures", "matrix", "curves", "sheet", "view")


_COMPONENT = st.components.v2.component(
    "locality_architectures",
    html=(_HERE / "view.html").read_text(encoding="utf-8"),
    css=(_HERE / "style.css").read_text(encoding="utf-8"),
    js=joined(*(_SHARED / f"{name}.js" for name in ("math", "picture")), *(_HERE / f"{name}.js" for name in _PARTS)),
)


def view_component(head: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Show the view; what is chosen in it comes back through the session state, see `current_view`."""
    _COMPONENT(key=KEY, data=pack(head, arrays), default={"view": None}, on_view_change=_ignore, width="stretch")


def chosen() -> dict[str, Any] | None:
    """What the browser chose last: never to be trusted."""
    value: dict[str, Any] | None = (st.session_state.get(KEY) or {}).get("view")
    return value


def _ignore() -> None:
    """A change needs no callback of its own: the rerun reads it."""
