"""Crops of the photographs inside scikit-image and scikit-learn: natural images without a download.

Photographs are shrunk by whole factors in integer arithmetic, so the crops depend on nothing but
the decoded photographs. Three of them are JPEG files without chroma subsampling, which
libjpeg-turbo (inside every Pillow wheel) decodes to the same bytes on every processor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image

from locality.dataset import Dataset
from locality.datasets.parts.spec import DATASETS, DatasetInfo, DatasetSpec, Split
from locality.datasets.parts.wheels import missing_files, package_file
from locality.types import ImageShape

_SIDE = 32
_FACTORS = (2, 3, 4)  # a photograph is shrunk by each of these
_STRIDE = 24  # source pixels between crops, a multiple of every factor
_SEED = 32_032  # of the order only, so that the first N images come from all photographs
# Split by photograph: no test crop shows anything a training crop shows.
_FILES: dict[Split, list[tuple[str, ...]]] = {
    "train": [
        ("skimage", "data", "astronaut.png"),
        ("skimage", "data", "coffee.png"),
        ("skimage", "data", "motorcycle_left.png"),
        ("skimage", "data", "rocket.jpg"),
        ("sklearn", "datasets", "images", "china.jpg"),
    ],
    "test": [
        ("skimage", "data", "chelsea.png"),
        ("sklearn", "datasets", "images", "flower.jpg"),
    ],
}


@DATASETS.register("photos")
@dataclass(frozen=True)
class Photos(DatasetSpec):
    """32x32 crops of five photographs for training and of two others for testing."""

    examples: ClassVar[tuple[str, ...]] = ("photos",)
    info: ClassVar[DatasetInfo] = DatasetInfo(
        title="Sample photographs",
        source="scikit-image (astronaut, coffee, motorcycle, rocket, cat) and scikit-learn (China, flower)",
        licence="public domain or CC0 (astronaut, coffee, cat, rocket), CC BY 2.0 (China, flower), "
        "Middlebury 2014 stereo set without a stated licence (motorcycle)",
        about="Crops of seven photographs, 32x32 colour: nearly stationary, so fields look much the same everywhere.",
    )
    fingerprints: ClassVar[dict[str, str]] = {
        "train": "ba2321bc4dc2a55445dfa85154a3d6263b7efc73e2ee78458bdb547b3b71c0a3",
        "test": "5e320f7d6471e1aff1be88e80c63e8b03a5a296962c925fcccaa09d4c4193c9b",
    }

    @property
    def shape(self) -> ImageShape:
        return ImageShape(3, _SIDE, _SIDE)

    def count(self, split: Split = "train") -> int:
        return {"train": 5287, "test": 1425}[split]

    def missing(self) -> str:
        return missing_files(_FILES["train"] + _FILES["test"])

    def load(self, split: Split = "train") -> Dataset:
        crops = []
        for file in _FILES[split]:
            with Image.open(package_file(*file)) as photo:
                pixels = np.asarray(photo.convert("RGB"))
            crops += [_crops(_shrink(pixels, factor), _STRIDE // factor) for factor in _FACTORS]
        data = np.concatenate(crops)
        # Uniform draws of PCG64 are the same in every numpy; its shuffles are not promised to be.
        order = np.argsort(np.random.Generator(np.random.PCG64(_SEED)).random(len(data)), kind="stable")
        return Dataset(self.name, split, self.shape, torch.from_numpy(data[order]))


def _shrink(pixels: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Mean of factor x factor blocks, rounded half up; [h w 3] -> [h//factor w//factor 3]."""
    h, w = (size // factor for size in pixels.shape[:2])
    blocks = pixels[: h * factor, : w * factor].reshape(h, factor, w, factor, 3)
    sums = blocks.sum(axis=(1, 3), dtype=np.int64)
    area = factor * factor
    rounded: NDArray[np.uint8] = ((2 * sums + area) // (2 * area)).astype(np.uint8)
    return rounded


def _crops(pixels: NDArray[np.uint8], stride: int) -> NDArray[np.uint8]:
    """All crops on a grid, flat and channel-major: [h w 3] -> [k, 3 * 32 * 32]."""
    windows = sliding_window_view(pixels, (_SIDE, _SIDE), axis=(0, 1))[::stride, ::stride]
    return windows.reshape(-1, 3 * _SIDE * _SIDE)
