"""Where image files are looked for: LOCALITY_DATA first, then the user's data directory."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from locality.places import user_data_dir


def data_roots() -> list[Path]:
    """Folders that may hold datasets, in order of preference."""
    named = os.environ.get("LOCALITY_DATA")
    return [*([Path(named)] if named else []), user_data_dir()]


def find_file(names: Iterable[str]) -> Path | None:
    """The first existing file among relative names, tried in every data root."""
    tried = list(names)
    for root in data_roots():
        for name in tried:
            if (root / name).is_file():
                return root / name
    return None
