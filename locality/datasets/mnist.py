"""MNIST and Fashion-MNIST: 28x28 grey images in the IDX format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from locality.dataset import Dataset
from locality.datasets.parts.download import Download, RemoteFile
from locality.datasets.parts.files import find_file
from locality.datasets.parts.idx import read_idx
from locality.datasets.parts.spec import DATASETS, DatasetInfo, DatasetSpec, Split
from locality.errors import BadInput, DataUnavailable
from locality.types import ImageShape, Pixel

_STEMS = {"train": "train", "test": "t10k"}
_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def _files(*facts: tuple[int, str, str]) -> tuple[RemoteFile, ...]:
    """Size of the .gz, its MD5, and the MD5 of its content, in the order of _FILES."""
    return tuple(RemoteFile(f"{name}.gz", *fact) for name, fact in zip(_FILES, facts, strict=True))


@dataclass(frozen=True)
class _Idx(DatasetSpec):
    """28x28 grey images in four IDX files."""

    folder: ClassVar[str]
    files: ClassVar[tuple[RemoteFile, ...]]
    mirrors: ClassVar[tuple[str, ...]]

    @property
    def shape(self) -> ImageShape:
        return ImageShape(1, 28, 28)

    def count(self, split: Split = "train") -> int:
        return {"train": 60_000, "test": 10_000}[split]

    def missing(self) -> str:
        splits: tuple[Split, ...] = ("train", "test")
        absent = [split for split in splits if not find_file(self._names(split, "images-idx3"))]
        if not absent:
            return ""
        folder = f"{self.folder}/raw"
        return f"Run `python -m locality download {self.name}`, or set LOCALITY_DATA to a folder with {folder}."

    def download(self) -> Download:
        return Download(self.info.title, self.info.licence, f"{self.folder}/raw", self.files, self.mirrors)

    def load(self, split: Split = "train") -> Dataset:
        images, labels = (find_file(self._names(split, kind)) for kind in ("images-idx3", "labels-idx1"))
        if images is None:
            raise DataUnavailable(f"The {self.name} images are not on this machine. {self.missing()}")
        pixels = read_idx(images)
        if pixels.ndim != 3 or tuple(pixels.shape[1:]) != (28, 28):
            raise BadInput(f"{images.name} holds arrays of shape {tuple(pixels.shape)}, not 28x28 images.")
        marks = None if labels is None else read_idx(labels).long()
        if marks is not None and marks.shape != pixels.shape[:1]:
            raise BadInput(
                f"{images.name} has {len(pixels)} images but {tuple(marks.shape)} labels. Download it again."
            )
        return Dataset(self.name, split, self.shape, pixels.reshape(len(pixels), -1), marks)

    def _names(self, split: Split, kind: str) -> list[str]:
        stem = f"{_STEMS[split]}-{kind}-ubyte"
        folders = (f"{self.folder}/raw", self.folder, self.name)
        return [f"{folder}/{stem}{end}" for folder in folders for end in ("", ".gz")]


@DATASETS.register("mnist")
@dataclass(frozen=True)
class Mnist(_Idx):
    """60,000 training images of handwritten digits, 10,000 test images by other writers."""

    folder: ClassVar[str] = "MNIST"
    examples: ClassVar[tuple[str, ...]] = ("mnist",)
    info: ClassVar[DatasetInfo] = DatasetInfo(
        title="MNIST",
        source="LeCun, Cortes, Burges: The MNIST database of handwritten digits",
        licence="CC BY-SA 3.0",
        about="Handwritten digits, 28x28 grey: a dark border that never changes.",
    )
    telling_sigma: ClassVar[float] = 2.0
    look: ClassVar[str] = "a stroke"
    fingerprints: ClassVar[dict[str, str]] = {
        "train": "dce854eb5bd52b717aa7aec7a42aaee689a3ed6d6382f2d9e90b2855d7de6caf",
        "test": "682be7a888c61331b5544dde168c8c67cc2f2385166be478239a8663ecf3c12c",
    }
    files: ClassVar[tuple[RemoteFile, ...]] = _files(
        (9_912_422, "f68b3c2dcbeaaa9fbdd348bbdeb94873", "6bbc9ace898e44ae57da46a324031adb"),
        (28_881, "d53e105ee54ea40749a09fcbcd1e9432", "a25bea736e30d166cdddb491f175f624"),
        (1_648_877, "9fb629c4189551a2d022fa330f9573f3", "2646ac647ad5339dbf082846283269ea"),
        (4_542, "ec29112dd5afa0611ce80d1b7f02629c", "27ae3e4e09519cfbb04c329615203637"),
    )
    mirrors: ClassVar[tuple[str, ...]] = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "http://yann.lecun.com/exdb/mnist/",
    )


@DATASETS.register("fashion_mnist")
@dataclass(frozen=True)
class FashionMnist(_Idx):
    """60,000 training and 10,000 test pictures of clothes, in MNIST's format."""

    folder: ClassVar[str] = "FashionMNIST"
    examples: ClassVar[tuple[str, ...]] = ("fashion_mnist",)
    info: ClassVar[DatasetInfo] = DatasetInfo(
        title="Fashion-MNIST",
        source="Xiao, Rasul, Vollgraf 2017 (arXiv 1708.07747), Zalando Research",
        licence="MIT",
        about="Aligned pictures of clothes, 28x28 grey: fields follow the outlines.",
    )
    telling_sigma: ClassVar[float] = 2.0  # where one sleeve looks for the other
    look: ClassVar[str] = "a sleeve"
    fingerprints: ClassVar[dict[str, str]] = {
        "train": "737e654fa842eba9c787b89a6398b5ef3f43f0dff28ae76969c0e6fa39427604",
        "test": "db0f380886add8f96066785997a2f95d0a438c716fda6fe19d9cc1a554a82f17",
    }
    files: ClassVar[tuple[RemoteFile, ...]] = _files(
        (26_421_880, "8d4fb7e6c68d591d4c3dfef9ec88bf0d", "f4a8712d7a061bf5bd6d2ca38dc4d50a"),
        (29_515, "25c81989df183df01b3e8a0aad5dffbe", "9018921c3c673c538a1fc5bad174d6f9"),
        (4_422_102, "bef4ecab320f06d8554ea6380940ec79", "8181f5470baa50b63fa0f6fddb340f0a"),
        (5_148, "bb300cfdad3c16e7a12a480ee83cd310", "15d484375f8d13e6eb1aabb0c3f46965"),
    )
    mirrors: ClassVar[tuple[str, ...]] = (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    )

    def landmarks(self) -> dict[str, Pixel]:
        """The sleeves of a shirt, left and right in the picture."""
        return {"left sleeve": Pixel(13, 5), "right sleeve": Pixel(13, 22)}
