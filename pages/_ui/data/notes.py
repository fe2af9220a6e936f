"""What reading a set left out, or understood in one way of several."""

from __future__ import annotations

import re

import streamlit as st

from locality.datasets import Source


def notes(source: Source) -> None:
    """One line for each; names of files are shown as they are, whatever they hold."""
    for note in source.notes():
        st.caption(f":material/info: {literal(note)}")


def literal(text: str) -> str:
    """Text for Markdown that shows every character and none as a mark."""
    return re.sub(r"([\\`*_{}\[\]()#+!|$<>~:^=-])", r"\\\1", text)
