"""The IDX format of MNIST and Fashion-MNIST, plain or gzipped."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from locality.errors import BadInput, TooLarge

_MOST = 1 << 28  # bytes; the largest official file has 47 MB, a gzip bomb stops here


def read_idx(path: Path) -> UInt8[Tensor, "..."]:
    """Read an IDX file of unsigned bytes.

    Raises:
        BadInput: damaged gzip, another type code, or fewer or more bytes than the header says.
        TooLarge: more than 268 MB unpacked.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            raw = file.read(_MOST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(f"{path.name} cannot be read ({error}). Delete it and download it again.") from None
    if len(raw) > _MOST:
        raise TooLarge(path.name, len(raw), _MOST, "Delete it and download it again.")
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] != 8:
        raise BadInput(f"{path.name} is not an IDX file of bytes. Delete it and download it again.")
    rank = raw[3]
    start = 4 + 4 * rank
    sizes = struct.unpack(f">{rank}I", raw[4:start]) if len(raw) >= start else ()
    if len(raw) - start != math.prod(sizes):
        got, want = len(raw) - start, math.prod(sizes)
        raise BadInput(f"{path.name} is cut short or damaged: {got} bytes, {want} expected. Download it again.")
    return torch.frombuffer(bytearray(raw[start:]), dtype=torch.uint8).reshape(sizes)
