"""Classes of diffusers, whose import takes seconds: only when a network is built or opened, one thread at a time."""

from __future__ import annotations

import threading
from typing import Any

_LOCK = threading.RLock()


def diffusers_class(name: str) -> Any:
    """A class of diffusers by name.

    diffusers puts another module in its own place at the end of its import: a second thread that asked meanwhile would
    be left with the first one, which has no classes.
    """
    with _LOCK:
        import diffusers

        return getattr(diffusers, name)
