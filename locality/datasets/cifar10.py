"""CIFAR-10: 32x32 colour photographs, in the official binary batches."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from jaxtyping import UInt8
from torch import Tensor

from locality.dataset import Dataset
from locality.datasets._files import find_file
from locality.datasets._spec import DATASETS, DatasetInfo, DatasetSpec, Split
from locality.errors import BadInput, DataUnavailable
from locality.types import ImageShape

_RECORD = 1 + 3 * 32 * 32  # one label byte, then red, green and blue planes
_FOLDERS = ("cifar-10-batches-bin", "cifar10/cifar-10-batches-bin", "cifar10")


@DATASETS.register("cifar10")
@dataclass(frozen=True)
class Cifar10(DatasetSpec):
    """50,000 training and 10,000 test photographs of ten kinds of things."""

    info: ClassVar[DatasetInfo] = DatasetInfo(
        title="CIFAR-10",
        source="Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images",
        licence="none stated by the authors; widely used for research",
        about="Small photographs, 32x32 colour: nearby pixels agree, distant ones do not.",
    )

    @property
    def shape(self) -> ImageShape:
        return ImageShape(3, 32, 32)

    def count(self, split: Split = "train") -> int:
        return {"train": 50_000, "test": 10_000}[split]

    def missing(self) -> str:
        if all(_batch(name) for name in _names("train")):
            return ""
        return "Run `python -m locality download cifar10`, or set LOCALITY_DATA to a folder with cifar-10-batches-bin."

    def load(self, split: Split = "train") -> Dataset:
        paths = [_batch(name) for name in _names(split)]
        if split == "test" and paths == [None]:
            paths = [_batch("test_batch_first1000.bin")]
        found = [path for path in paths if path is not None]
        if len(found) != len(paths):
            raise DataUnavailable(f"The cifar10 {split} images are not on this machine. {self.missing()}")
        records = torch.cat([_read(path) for path in found])
        labels = records[:, 0].long()
        return Dataset(self.name, split, self.shape, records[:, 1:].contiguous(), labels)


def _names(split: Split) -> list[str]:
    return [f"data_batch_{i}.bin" for i in range(1, 6)] if split == "train" else ["test_batch.bin"]


def _batch(name: str) -> Path | None:
    return find_file(f"{folder}/{name}" for folder in _FOLDERS)


def _read(path: Path) -> UInt8[Tensor, "n record"]:
    raw = path.read_bytes()
    if not raw or len(raw) % _RECORD:
        raise BadInput(f"{path.name} is cut short or damaged: {len(raw)} bytes are not whole records of {_RECORD}.")
    return torch.frombuffer(bytearray(raw), dtype=torch.uint8).reshape(-1, _RECORD)
