"""A page of the app, opened by its link without a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from streamlit.testing.v1 import AppTest

APP = str(Path(__file__).parents[2] / "app.py")


def open_page(**query: Any) -> AppTest:
    """The page that a test's menu opens with, of a link with this query; nothing failed in it."""
    at = AppTest.from_file(APP, default_timeout=110)
    for name, value in query.items():
        at.query_params[name] = value
    at.run()
    assert not at.exception, at.exception
    return at
