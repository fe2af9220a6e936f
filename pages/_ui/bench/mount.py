"""Mounting the leaderboard; the picked cell comes back through the session state."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

KEY = "bench_board"
_HERE = Path(__file__).parent

_COMPONENT = st.components.v2.component(
    "locality_leaderboard",
    html=(_HERE / "board.html").read_text(encoding="utf-8"),
    css=(_HERE / "board.css").read_text(encoding="utf-8"),
    js=(_HERE / "board.js").read_text(encoding="utf-8"),
)


def board_component(head: Mapping[str, Any]) -> None:
    """Show the leaderboard."""
    _COMPONENT(key=KEY, data=dict(head), default={"pick": None}, on_pick_change=_ignore, width="stretch")


def picked() -> dict[str, Any] | None:
    """What the browser picked last: never to be trusted."""
    value: dict[str, Any] | None = (st.session_state.get(KEY) or {}).get("pick")
    return value


def _ignore() -> None:
    """A change needs no callback of its own: the rerun reads it."""
