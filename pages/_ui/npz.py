"""Arrays as the bytes of a file to save."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.typing import NDArray


def npz(**arrays: NDArray[np.generic] | np.generic) -> bytes:
    """An npz file of arrays by name."""
    buffer = BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()
