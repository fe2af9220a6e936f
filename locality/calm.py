"""Threads that wait without spinning, so that a busy machine is not slowed down by them.

PyTorch's threads (OpenMP) by default spin while they wait for each other; where another process wants the same cores,
they take turns with it at every wait, and two threads may take ten times as long as one.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping

_CALM = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0", "KMP_BLOCKTIME": "0"}


def wait_calmly(environment: MutableMapping[str, str] = os.environ) -> None:
    """Set it for this process and those it starts, unless the user has chosen; before torch is loaded, else in vain."""
    for name, value in _CALM.items():
        environment.setdefault(name, value)
