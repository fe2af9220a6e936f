"""The one place that turns errors meant for people into a message; all others surface."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from locality.errors import LocalityError


class Nothing(LocalityError):
    """Nothing is wrong: what the page shows has not been chosen yet."""


@contextmanager
def guard() -> Iterator[None]:
    """Show a LocalityError as one clear message and go on with the page."""
    try:
        yield
    except Nothing as empty:
        st.info(str(empty), icon=":material/add_photo_alternate:")
    except LocalityError as error:
        st.error(str(error), icon=":material/error:")
