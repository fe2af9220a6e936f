"""What the numbers of an image mean: which is black, which white, and whether they keep their fractions."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from locality.errors import BadInput

_TEXT = re.compile(r"(float)?(?::)?(?:([-+.\deE]+)\.\.([-+.\deE]+))?")
HELP = "Black and white as LOW..HIGH (0..4095 for 12 bits); float or float:LOW..HIGH keeps fractions; empty: by type."


@dataclass(frozen=True)
class Values:
    """`low` is black and `high` white, None for what the type of the pixels says; `keep`: float32, else 8 bits.

    Kept values may leave [-1, 1]; 8-bit ones are cut to black and white.
    """

    keep: bool = False
    low: float | None = None
    high: float | None = None

    @staticmethod
    def parse(text: str) -> Values:
        """`LOW..HIGH`, `float`, `float:LOW..HIGH` or nothing. Raises BadInput."""
        found = _TEXT.fullmatch(text.strip())
        try:
            if found is None or (text.strip() and (":" in text) != bool(found[1] and found[2])):
                raise ValueError
            low, high = (None, None) if found[2] is None else (float(found[2]), float(found[3]))
            if low is not None and high is not None and not (math.isfinite(high - low) and low < high):
                raise ValueError
        except ValueError:
            raise BadInput(f"values={text!r} is not LOW..HIGH, float or float:LOW..HIGH, such as 0..4095.") from None
        return Values(bool(found[1]), low, high)

    def __bool__(self) -> bool:
        """Whether anything but the usual is asked for."""
        return self.keep or self.low is not None

    @property
    def type(self) -> type[np.uint8] | type[np.float32]:
        return np.float32 if self.keep else np.uint8

    def scaled(self, values: NDArray[np.generic], low: float, high: float) -> NDArray[np.uint8] | NDArray[np.float32]:
        """Numbers between black and white -> 0..255 rounded, or [-1, 1] as float32."""
        x = (values.astype(np.float64) - low) / (high - low)
        if self.keep:
            return (2 * x - 1).astype(np.float32)
        return np.rint(np.clip(x, 0, 1) * 255).astype(np.uint8)


USUAL = Values()
