"""What a page sends to its component: the header and the arrays of the packed buffer."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
from streamlit.testing.v1 import AppTest

_KINDS = {"f8": np.float64, "f4": np.float32, "i2": np.int16, "u1": np.uint8, "i1": np.int8}


def sent(at: AppTest) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Header and arrays of the buffer the page's component received."""
    return unpacked(at.get("bidi_component")[0].proto.bytes)


def unpacked(buffer: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Header and arrays of a buffer: uint32 length, JSON header, then the arrays it lists."""
    length = struct.unpack_from("<I", buffer)[0]
    head = json.loads(buffer[4 : 4 + length])
    arrays = {
        part["name"]: np.frombuffer(buffer, _KINDS[part["kind"]], part["count"], 4 + length + part["at"])
        for part in head["arrays"]
    }
    return head, arrays
