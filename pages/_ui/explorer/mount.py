"""Mounting the component: its files joined into one script, its data packed into one buffer."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages._ui.explorer.view import KEY, write_url

_HERE = Path(__file__).parent
_KINDS = {
    np.dtype(np.float64): "f8",
    np.dtype(np.float32): "f4",
    np.dtype(np.int16): "i2",
    np.dtype(np.uint8): "u1",
    np.dtype(np.int8): "i1",
}


def script() -> str:
    """One ES module: the parts without their exports, then the view, all without their imports."""
    return joined(*(_HERE / f"{name}.js" for name in ("math", "basis", "chart", "numbers", "picture", "view")))


def joined(*files: Path) -> str:
    """Scripts as one ES module, without their imports and inner exports."""
    text = re.sub(r"^import .*\n", "", "\n".join(file.read_text(encoding="utf-8") for file in files), flags=re.M)
    return re.sub(r"^export (?!default)", "", text, flags=re.M)


_COMPONENT = st.components.v2.component(
    "locality_explorer",
    html=(_HERE / "view.html").read_text(encoding="utf-8"),
    css=(_HERE / "style.css").read_text(encoding="utf-8"),
    js=script(),
)


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


def explorer_view(head: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Show the view; the chosen pixel and noise level come back through the session state."""
    _COMPONENT(key=KEY, data=pack(head, arrays), default={"view": None}, on_view_change=write_url, width="stretch")
