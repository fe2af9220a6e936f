"""Where the dashboard and its shipped results lie: around the package in a checkout, inside it once installed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def home() -> Path:
    """The folder of app.py, pages/, static/ and cache/: the checkout, or what `pip install` copied beside it."""
    checkout = _PACKAGE.parent
    return checkout if (checkout / "app.py").is_file() else _PACKAGE / "dashboard"


def user_data_dir() -> Path:
    """The folder downloads go to, and results too where there is no checkout; follows each system's convention."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share"))
    return base / "locality-lab"


def local_cache() -> Path:
    """Where results made on this machine are kept: LOCALITY_CACHE, else cache/local of the checkout."""
    named = os.environ.get("LOCALITY_CACHE")
    if named:
        return Path(named)
    return user_data_dir() / "cache" if home().parent == _PACKAGE else home() / "cache" / "local"
