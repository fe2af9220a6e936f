"""A folder, zip or npz of images -> the train or test split as a dataset."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from locality.dataset import Dataset
from locality.datasets.parts.archive import open_archive
from locality.datasets.parts.arrays import read_npz
from locality.datasets.parts.images import Crop, Mode, decode, fit
from locality.datasets.parts.names import class_labels, image_names, pick
from locality.datasets.parts.spec import Split
from locality.errors import BadInput, TooLarge
from locality.types import ImageShape

_BUDGET = 8_000_000_000  # bytes of all images in memory


@dataclass(frozen=True)
class Collection:
    """What to take from a path and how to make every image the same size.

    `limit`: at most this many images of each split, 0 for all.
    """

    name: str
    path: Path
    resolution: int
    crop: Crop
    mode: Mode
    limit: int

    @property
    def shape(self) -> ImageShape:
        return ImageShape(3 if self.mode == "rgb" else 1, self.resolution, self.resolution)

    def count(self, split: Split) -> int:
        """Number of images of the split; lists the files, opens none. Raises as `load`."""
        if self.path.suffix == ".npz":
            return len(pick(range(len(read_npz(self.path))), split, self.limit, self.path.name))
        with open_archive(self.path) as archive:
            return len(pick(image_names(archive.names, self.path.name), split, self.limit, self.path.name))

    def load(self, split: Split) -> Dataset:
        """Read the split, in sorted order of names.

        Raises:
            BadInput: unreadable, too few images, or all of them the same.
            TooLarge: one image or the whole set is over its budget.
        """
        pixels, labels = self._arrays(split) if self.path.suffix == ".npz" else self._files(split)
        if split == "train" and (pixels == pixels[0]).all():
            raise BadInput(
                f"All {len(pixels)} training images of {self.path.name} are the same: nothing varies, so there is "
                "no statistic to learn. Give different images."
            )
        return Dataset(self.name, split, self.shape, torch.from_numpy(pixels.reshape(len(pixels), -1)), labels)

    def _arrays(self, split: Split) -> tuple[NDArray[np.uint8], None]:
        images = read_npz(self.path)
        rows = pick(range(len(images)), split, self.limit, self.path.name)

        def one(i: int) -> NDArray[np.uint8]:
            return fit(Image.fromarray(images[rows[i]]), resolution=self.resolution, crop=self.crop, mode=self.mode)

        return self._fill(len(rows), one), None

    def _files(self, split: Split) -> tuple[NDArray[np.uint8], torch.Tensor | None]:
        with open_archive(self.path) as archive:
            listed = archive.names
            names = pick(image_names(listed, self.path.name), split, self.limit, self.path.name)

            def one(i: int) -> NDArray[np.uint8]:
                raw = archive.read(names[i])
                return decode(raw, names[i], resolution=self.resolution, crop=self.crop, mode=self.mode)

            notes = archive.read("dataset.json") if "dataset.json" in listed else None
            return self._fill(len(names), one), class_labels(names, image_names(listed, self.path.name), notes)

    def _fill(self, n: int, one: Callable[[int], NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """[n c h w] of `one(i)`; decoding releases the lock, so threads help and order stays."""
        if n * self.shape.d > _BUDGET:
            knob = "Give a smaller resolution, or a limit."
            raise TooLarge(f"{n:,} images of {self.shape}", n * self.shape.d, _BUDGET, knob)
        pixels = np.empty((n, *self.shape), np.uint8)

        def work(i: int) -> None:
            pixels[i] = one(i)

        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            for _ in pool.map(work, range(n)):
                pass
        return pixels
