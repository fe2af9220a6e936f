"""A decoded set on disk: its pixels mapped, what reading met beside them."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locality.pictures.names import Split, by_tenths

PIXELS, LABELS, ABOUT = "pixels.bin", "labels.npy", "set.json"


@dataclass(frozen=True)
class Kept:
    """A decoded set: `train` images, then `test` ones, [n d] of uint8 or float32, and what reading them met."""

    folder: Path
    path: str  # of what was read
    train: int
    test: int
    d: int
    dtype: str
    labels: bool
    notes: tuple[str, ...]

    def count(self, split: Split) -> int:
        return self.train if split == "train" else self.test

    def pixels(self, split: Split) -> NDArray[Any]:
        """Mapped from disk; a change to it stays in memory."""
        size = np.dtype(self.dtype).itemsize * self.d
        start = 0 if split == "train" else self.train * size
        return _mapped(self.folder / PIXELS, self.dtype, start, (self.count(split), self.d))

    def every(self) -> NDArray[Any]:
        """All pixels in the order of the names, of images that no name puts into a split."""
        marks = by_tenths(self.train + self.test)
        pixels = np.empty((len(marks), self.d), self.dtype)
        pixels[marks == 1], pixels[marks == 2] = self.pixels("train"), self.pixels("test")
        return pixels

    def classes(self, split: Split) -> NDArray[np.int64] | None:
        if not self.labels:
            return None
        every: NDArray[np.int64] = np.load(self.folder / LABELS)
        return every[: self.train] if split == "train" else every[self.train :]


def _mapped(path: Path, dtype: str, start: int, shape: tuple[int, int]) -> NDArray[Any]:
    return np.memmap(path, dtype, "r", start, shape)


def read(folder: Path) -> Kept | None:
    """The set of a folder, noted as used now; None where there is none, or a damaged one."""
    try:
        about = json.loads((folder / ABOUT).read_bytes())
        found = Kept(folder, **{**about, "notes": tuple(about["notes"])})
        size = (found.train + found.test) * found.d * np.dtype(found.dtype).itemsize
        if (folder / PIXELS).stat().st_size != size:
            return None
    except (OSError, ValueError, TypeError, KeyError):
        return None
    with suppress(OSError):  # a cache that may be read alone
        os.utime(folder / ABOUT)  # used now
    return found
