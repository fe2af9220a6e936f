"""A bar while a set is read for the first time; later it is opened at once and no bar is seen."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from locality.work import HEARTBEAT_SECONDS, listening


@contextmanager
def reading() -> Iterator[None]:
    """Show how much of the images is read by what runs inside."""
    bar, shown = st.empty(), 0.0

    def show(share: float) -> None:
        nonlocal shown
        if time.monotonic() - shown >= HEARTBEAT_SECONDS:
            bar.progress(share, f"Reading the images, once: {share:.0%}")
            shown = time.monotonic()

    with listening(show):
        yield
    bar.empty()
