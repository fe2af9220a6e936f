"""What tests of a page share: a machine without anything on it, and a menu."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st

from tests.app.opened import menu


@pytest.fixture
def bare_machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No image files; nothing remembered from another test; where a file has a MENU, its first page opens."""
    monkeypatch.delenv("LOCALITY_DATA", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    if pages := getattr(request.module, "MENU", ()):
        monkeypatch.setattr("pages._ui.frame.sections", menu(*pages))
    for cache in (st.cache_resource, st.cache_data):
        cache.clear()
    yield
    for cache in (st.cache_resource, st.cache_data):
        cache.clear()
