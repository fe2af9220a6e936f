"""MNIST and Fashion-MNIST: 28x28 grey images in the IDX format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from locality.dataset import Dataset
from locality.datasets._files import find_file
from locality.datasets._idx import read_idx
from locality.datasets._spec import DATASETS, DatasetInfo, DatasetSpec, Split
from locality.errors import BadInput, DataUnavailable
from locality.types import ImageShape

_STEMS = {"train": "train", "test": "t10k"}


@dataclass(frozen=True)
class _Idx(DatasetSpec):
    """28x28 grey images in four IDX files."""

    folder: ClassVar[str]

    @property
    def shape(self) -> ImageShape:
        return ImageShape(1, 28, 28)

    def count(self, split: Split = "train") -> int:
        return {"train": 60_000, "test": 10_000}[split]

    def missing(self) -> str:
        absent = [split for split in _STEMS if not find_file(self._names(split, "images-idx3"))]
        if not absent:
            return ""
        return f"Run `python -m locality download {self.name}`, or set LOCALITY_DATA to a folder with {self.folder}/raw."

    def load(self, split: Split = "train") -> Dataset:
        images, labels = (find_file(self._names(split, kind)) for kind in ("images-idx3", "labels-idx1"))
        if images is None:
            raise DataUnavailable(f"The {self.name} images are not on this machine. {self.missing()}")
        pixels = read_idx(images)
        if pixels.ndim != 3 or tuple(pixels.shape[1:]) != (28, 28):
            raise BadInput(f"{images.name} holds arrays of shape {tuple(pixels.shape)}, not 28x28 images.")
        marks = None if labels is None else read_idx(labels).long()
        return Dataset(self.name, split, self.shape, pixels.reshape(len(pixels), -1), marks)

    def _names(self, split: Split, kind: str) -> list[str]:
        stem = f"{_STEMS[split]}-{kind}-ubyte"
        folders = (f"{self.folder}/raw", self.folder, self.name)
        return [f"{folder}/{stem}{end}" for folder in folders for end in ("", ".gz")]


@DATASETS.register("mnist")
@dataclass(frozen=True)
class Mnist(_Idx):
    folder: ClassVar[str] = "MNIST"
    info: ClassVar[DatasetInfo] = DatasetInfo(
        title="MNIST",
        source="LeCun, Cortes, Burges: The MNIST database of handwritten digits",
        licence="CC BY-SA 3.0",
        about="Handwritten digits, 28x28 grey: a dark border that never changes.",
    )


@DATASETS.register("fashion_mnist")
@dataclass(frozen=True)
class FashionMnist(_Idx):
    folder: ClassVar[str] = "FashionMNIST"
    info: ClassVar[DatasetInfo] = DatasetInfo(
        title="Fashion-MNIST",
        source="Xiao, Rasul, Vollgraf 2017 (arXiv 1708.07747), Zalando Research",
        licence="MIT",
        about="Aligned pictures of clothes, 28x28 grey: fields follow the outlines.",
    )
