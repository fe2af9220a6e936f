"""Mounting a view: its files and the shared ones as a component, its data packed into one buffer."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages._ui.lab.modules import linked

_HERE = Path(__file__).parent
_KINDS = {
    np.dtype(np.float64): "f8",
    np.dtype(np.float32): "f4",
    np.dtype(np.int16): "i2",
    np.dtype(np.uint8): "u1",
    np.dtype(np.int8): "i1",
}


def _ignore() -> None:
    """A change needs no callback of its own: the rerun reads it."""


class Component:
    """A folder's view.html, view.js and style.css; what is chosen in it is `state` of the session's `key`."""

    def __init__(self, folder: Path, key: str, state: str = "view") -> None:
        self.key, self.state = key, state
        self._component = st.components.v2.component(
            f"locality_{folder.name}",
            html=(folder / "view.html").read_text(encoding="utf-8"),
            css=style(folder),
            js=linked(folder / "view.js"),
        )

    def show(
        self, head: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], *, changed: Callable[[], None] = _ignore
    ) -> None:
        """Show what the header says of the arrays; `changed` runs before the rerun that a choice leads to."""
        callback: dict[str, Any] = {f"on_{self.state}_change": changed}
        self._component(key=self.key, data=pack(head, arrays), default={self.state: None}, width="stretch", **callback)

    def chosen(self) -> dict[str, Any] | None:
        """What the browser chose last: never to be trusted."""
        value: dict[str, Any] | None = (st.session_state.get(self.key) or {}).get(self.state)
        return value


def style(folder: Path) -> str:
    """The style that all views share, and the folder's own."""
    return "".join(path.read_text(encoding="utf-8") for path in (_HERE / "lab.css", folder / "style.css"))


def pack(head: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Header length (uint32), JSON header padded to four bytes, then the arrays it lists, each aligned."""
    body, listed = b"", []
    for name, array in arrays.items():
        body += b"\0" * (-len(body) % 4)
        listed.append({"name": name, "kind": _KINDS[array.dtype], "at": len(body), "count": array.size})
        body += np.ascontiguousarray(array).tobytes()
    text = json.dumps({**head, "arrays": listed}, allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    return struct.pack("<I", len(text)) + text + body
