"""Handwritten digits, 8x8: the real ones inside scikit-learn, no download."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from locality.dataset import Dataset
from locality.datasets.parts.spec import DATASETS, DatasetInfo, DatasetSpec, Split
from locality.datasets.parts.wheels import missing_files, package_file
from locality.types import ImageShape

_FILE = ("sklearn", "datasets", "data", "digits.csv.gz")
_LEVELS = 16  # the file counts inked cells of a 4x4 block: 0..16
_HOLD_OUT = 10  # every tenth image, from the first, is a test image


@DATASETS.register("digits")
@dataclass(frozen=True)
class Digits(DatasetSpec):
    """1,797 digits of 43 writers; grey level v of 0..16 becomes round(255 v / 16)."""

    examples: ClassVar[tuple[str, ...]] = ("digits",)
    info: ClassVar[DatasetInfo] = DatasetInfo(
        title="Digits 8x8",
        source="Alpaydin, Kaynak 1998, Optical Recognition of Handwritten Digits (test part), as in scikit-learn",
        licence="CC BY 4.0 (UCI repository); scikit-learn's copy is BSD-3",
        about="Tiny handwritten digits, 8x8 grey: small enough to see a whole covariance at once.",
    )
    fingerprints: ClassVar[dict[str, str]] = {
        "train": "549be60a8177d2bebe50a8d9246dbfbdea8d52a4b1663786752915a441dc699b",
        "test": "78e34466d11c645c2f25e42bf4dfb2890701bffab38e673229a9685b75aed4a0",
    }

    @property
    def shape(self) -> ImageShape:
        return ImageShape(1, 8, 8)

    def count(self, split: Split = "train") -> int:
        return {"train": 1617, "test": 180}[split]

    def missing(self) -> str:
        return missing_files([_FILE])

    def load(self, split: Split = "train") -> Dataset:
        with gzip.open(package_file(*_FILE), "rt", encoding="ascii") as lines:
            table = np.loadtxt(lines, delimiter=",", dtype=np.int64)
        held_out = np.arange(len(table)) % _HOLD_OUT == 0
        rows = table[held_out if split == "test" else ~held_out]
        pixels = torch.from_numpy(np.rint(rows[:, :-1] * 255 / _LEVELS).astype(np.uint8))
        return Dataset(self.name, split, self.shape, pixels, torch.from_numpy(rows[:, -1].copy()))
