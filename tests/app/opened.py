"""A page of the app, opened by its link without a browser, and what stands on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.testing.v1 import AppTest

APP = str(Path(__file__).parents[2] / "app.py")


def menu(*pages: str) -> Callable[[], Any]:
    """What stands in for the app's menu: these pages, by name, of which the first opens."""
    return lambda: {"": [st.Page(f"pages/explore/{page}.py", default=page == pages[0]) for page in pages]}


def open_page(**query: Any) -> AppTest:
    """The page that a test's menu opens with, of a link with this query; nothing failed in it."""
    at = AppTest.from_file(APP, default_timeout=110)
    for name, value in query.items():
        at.query_params[name] = value
    at.run()
    assert not at.exception, at.exception
    return at


def texts(at: AppTest) -> str:
    """All that a page says in sentences, titles and lines of code."""
    shown = (*at.markdown, *at.caption, *at.info, *at.header, *at.error, *at.code)
    return "\n".join(element.value for element in shown)


def button(at: AppTest, label: str) -> Any:
    """The button that says this."""
    return next(button for button in at.button if button.label == label)
