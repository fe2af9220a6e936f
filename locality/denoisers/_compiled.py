"""Whether loops compiled by Numba run here; loading it takes half a second, so it is loaded when first asked."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from types import ModuleType


@cache
def kernels() -> ModuleType | None:
    """The compiled loops; None where Numba is missing or does not run."""
    try:
        return import_module(f"{__package__}._walk_kernels")
    except (ImportError, OSError):
        return None
