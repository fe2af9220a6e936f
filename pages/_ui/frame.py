"""What surrounds every page: the menu, the dataset and network of the session, one first rerun."""

from __future__ import annotations

from typing import Any

import streamlit as st
from PIL import Image

from pages._ui.choice import choose_dataset, choose_network


def _icon() -> Image.Image:
    """A field in sixteen squares; local, since an icon by name would be fetched from a foreign host."""
    icon = Image.new("RGB", (4, 4), "#f2f5f7")
    for spot, colour in {(1, 1): "#0b6a88", (2, 1): "#8fc3d4", (1, 2): "#8fc3d4", (0, 1): "#cfe3ea"}.items():
        icon.putpixel(spot, tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5)))
    return icon.resize((64, 64), Image.Resampling.NEAREST)


ICON = _icon()


def sections() -> dict[str, list[Any]]:
    """The menu. Pages live one folder down: files directly in pages/ would start Streamlit's legacy menu."""
    return {
        "": [
            st.Page("pages/explore/01_Explorer.py", title="Explorer", icon=":material/grid_on:", default=True),
            st.Page("pages/explore/02_Data.py", title="Data", icon=":material/dataset:", url_path="data"),
        ]
    }


@st.cache_resource
def _process() -> dict[str, bool]:
    return {"begun": False}


def begin_process() -> None:
    """Rerun once in the life of a server, before any widget.

    With a folder named pages/, a fresh server runs the first visit in its legacy mode, where
    widgets get other identities; without this rerun the first click of that visit is lost.
    """
    process = _process()
    if not process["begun"]:
        process["begun"] = True
        st.rerun()


def sidebar() -> None:
    """The choices that all pages share."""
    with st.sidebar:
        choose_dataset()
        choose_network()
