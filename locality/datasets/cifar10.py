"""CIFAR-10: 32x32 colour photographs, in the official binary or python batches."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from locality.dataset import Dataset
from locality.datasets.parts.download import Download, RemoteFile
from locality.datasets.parts.files import find_file
from locality.datasets.parts.spec import DATASETS, DatasetInfo, DatasetSpec, Split
from locality.datasets.parts.unpickle import read_batch
from locality.errors import BadInput, DataUnavailable
from locality.types import ImageShape

_PIXELS = 3 * 32 * 32
_RECORD = 1 + _PIXELS  # one label byte, then red, green and blue planes
_BATCH = 10_000  # images of every official batch
_EXCERPT = "test_batch_first1000.bin"
_FOLDERS = (
    "cifar-10-batches-bin",
    "cifar10/cifar-10-batches-bin",
    "cifar10",
    "cifar-10-batches-py",
    "cifar10/cifar-10-batches-py",
)
_MD5 = {
    "data_batch_1.bin": "5dd7e06a14cb22eb9f671a540d1b7c25",
    "data_batch_2.bin": "5ea93a67294ea407fff1d09f752e9692",
    "data_batch_3.bin": "942cd6a4bcdd0dd3c604fbe906cb4421",
    "data_batch_4.bin": "ae636b3ba5c66a11e91e8cb52e771fcb",
    "data_batch_5.bin": "53f37980c15c3d472c316c40844f3f0d",
    "test_batch.bin": "803d5f7f4d78ea53de84dbe85f74fb6d",
}


@DATASETS.register("cifar10")
@dataclass(frozen=True)
class Cifar10(DatasetSpec):
    """50,000 training and 10,000 test photographs of ten kinds of things."""

    examples: ClassVar[tuple[str, ...]] = ("cifar10",)
    info: ClassVar[DatasetInfo] = DatasetInfo(
        title="CIFAR-10",
        source="Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images",
        licence="none stated by the authors; widely used for research",
        about="Small photographs, 32x32 colour: nearby pixels agree, distant ones do not.",
    )
    fingerprints: ClassVar[dict[str, str]] = {
        "train": "373092431f787079ec232783aab441e90e12e4ce53f51ec45520555e6cd0739c",
    }

    @property
    def shape(self) -> ImageShape:
        return ImageShape(3, 32, 32)

    def count(self, split: Split = "train") -> int:
        """Number of images; 1,000 test images where only their excerpt is on this machine."""
        return sum(_size(name) for name in _names(split))

    def missing(self) -> str:
        if all(_batch(name) for name in _names("train")):
            return ""
        return "Run `python -m locality download cifar10`, or set LOCALITY_DATA to a folder with cifar-10-batches-bin."

    def download(self) -> Download:
        return Download(
            title=self.info.title,
            licence=self.info.licence,
            folder="cifar-10-batches-bin",
            files=(
                RemoteFile(
                    "cifar-10-binary.tar.gz",
                    size=170_052_171,
                    md5="c32a1d4ab5d03f1284b67883e8d87530",
                    members=tuple(_MD5.items()),
                ),
            ),
            mirrors=(
                "https://www.cs.toronto.edu/~kriz/",
                "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/",
                "https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/datasets/",
            ),
        )

    def load(self, split: Split = "train") -> Dataset:
        names = _names(split)
        found = [path for name in names if (path := _batch(name))]
        if len(found) != len(names):
            raise DataUnavailable(f"The cifar10 {split} images are not on this machine. {self.missing()}")
        sizes = [_size(name) for name in names]
        pixels = np.empty((sum(sizes), _PIXELS), np.uint8)
        labels = np.empty(len(pixels), np.int64)
        records = np.empty((sizes[0], _RECORD), np.uint8)  # one for all files: fresh memory costs more than reading
        for i, path in enumerate(found):
            rows = slice(i * len(records), (i + 1) * len(records))
            if path.suffix == ".bin":
                _fill(records, path)
                labels[rows], pixels[rows] = records[:, 0], records[:, 1:]
            else:
                pixels[rows], labels[rows] = read_batch(path, len(records))
        return Dataset(self.name, split, self.shape, torch.from_numpy(pixels), torch.from_numpy(labels))


def _names(split: Split) -> list[str]:
    if split == "train":
        return [f"data_batch_{i}.bin" for i in range(1, 6)]
    full, excerpt = "test_batch.bin", _EXCERPT
    return [excerpt] if _batch(excerpt) and not _batch(full) else [full]


def _size(name: str) -> int:
    return 1000 if name == _EXCERPT else _BATCH


def _batch(name: str) -> Path | None:
    """The binary batch of this name, else the python batch of the same images."""
    return find_file(f"{folder}/{kind}" for kind in (name, name.removesuffix(".bin")) for folder in _FOLDERS)


def _fill(records: NDArray[np.uint8], path: Path) -> None:
    """Read a binary batch of exactly these records [n 3073]."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size != records.nbytes:
            raise BadInput(
                f"{path.name} is cut short or damaged: {size} bytes, {records.nbytes} expected. "
                "Delete it and run `python -m locality download cifar10`."
            )
        file.readinto(records.data.cast("B"))
