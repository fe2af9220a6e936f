"""Many small whole numbers as few bytes: blocks of like size lie side by side, where a plain Huffman code is short."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from locality.types import ImageShape

LARGEST = 2**22  # of a code: three bytes, and float32 holds it
_SIDES = (16, 64)  # components and frequencies of a block
_BYTE = 127
STEP = 256  # components unpacked at a time


def pack_codes(codes: Int[Tensor, "k c hw"]) -> dict[str, Tensor]:
    """Blocks sorted by size as zlib bytes, and their places in this order; blocks of zeros are left out.

    One byte a value, then the two higher ones of the last `wide` blocks.
    """
    blocks = _blocks(codes)
    flat = blocks.reshape(len(blocks), -1)
    peak = np.maximum(flat.max(axis=1), -flat.min(axis=1))
    energy = np.einsum("bi,bi->b", flat, flat, dtype=np.float64)
    order = np.lexsort((energy, peak > _BYTE))
    ordered = blocks[order[peak[order] > 0]]
    wide = int((peak > _BYTE).sum())
    high = (ordered[len(ordered) - wide :] + 128) >> 8
    planes = [ordered.astype(np.int8), high.astype(np.int8), ((high + 128) >> 8).astype(np.int8)]
    stream = np.frombuffer(zlib.compress(b"".join(plane.tobytes() for plane in planes), 9), np.uint8)
    places = order[peak[order] > 0].astype(np.int32)
    return {
        "stream": torch.from_numpy(stream.copy()),
        "order": torch.from_numpy(places),
        "wide": torch.tensor(wide),
    }


@dataclass(frozen=True, eq=False)
class Codes:
    """Unpacked blocks: one byte a value, and the rest of those values of `wide` blocks that need more."""

    low: NDArray[np.int8]  # [K c F 16 64]
    high: NDArray[np.float32]  # [w 16 64]
    wide: NDArray[np.int32]  # [w], their places among all blocks, ascending
    components: int
    hw: int

    def part(self, start: int) -> Float[Tensor, "c hw k"]:
        """Whole numbers of `STEP` components from `start`, a multiple of it, as float32; components side by side."""
        rows = slice(start // _SIDES[0], (start + STEP) // _SIDES[0])
        blocks = self.low[rows].astype(np.float32)
        each = int(np.prod(self.low.shape[1:3]))
        first, last = np.searchsorted(self.wide, (rows.start * each, rows.stop * each))
        flat = blocks.reshape(-1, *_SIDES)
        flat[self.wide[first:last] - rows.start * each] += self.high[first:last]
        whole = blocks.transpose(1, 2, 4, 0, 3).reshape(self.low.shape[1], self.low.shape[2] * _SIDES[1], -1)
        return torch.from_numpy(whole)[:, : self.hw, : self.components - start]


def unpack_codes(arrays: Mapping[str, Tensor], components: int, shape: ImageShape) -> Codes:
    """What `pack_codes` packed."""
    planes = np.frombuffer(zlib.decompress(arrays["stream"].numpy().data), np.int8)
    order, wide, size = arrays["order"].numpy(), int(arrays["wide"]), _SIDES[0] * _SIDES[1]
    ends = np.cumsum([len(order) * size, wide * size])
    packed, middle, high = (part.reshape(-1, *_SIDES) for part in np.split(planes, ends))
    k, f = (-(-count // side) for count, side in zip((components, shape.h * shape.w), _SIDES, strict=True))
    low = np.zeros((k * shape.c * f, *_SIDES), np.int8)
    low[order] = packed
    places = order[len(order) - wide :]
    ascending = np.argsort(places)
    above = 256.0 * (middle[ascending].astype(np.float32) + 256.0 * high[ascending])
    return Codes(
        low.reshape(k, shape.c, f, *_SIDES), above.astype(np.float32), places[ascending], components, shape.h * shape.w
    )


def _blocks(codes: Int[Tensor, "k c hw"]) -> NDArray[np.int32]:
    """[blocks, components, frequencies], filled up with zeros."""
    k, c, hw = codes.shape
    padded = torch.nn.functional.pad(codes, (0, -hw % _SIDES[1], 0, 0, 0, -k % _SIDES[0]))
    parts = padded.reshape(-1, _SIDES[0], c, padded.shape[2] // _SIDES[1], _SIDES[1]).permute(0, 2, 3, 1, 4)
    found: NDArray[np.int32] = parts.reshape(-1, *_SIDES).numpy()
    return found
