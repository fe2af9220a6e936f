"""A folder or a file with images -> the train or test split as a dataset, mapped from disk."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import torch

from locality.dataset import Dataset
from locality.pictures.decode import Request
from locality.pictures.decoded import Kept
from locality.pictures.kept import listed, obtain
from locality.pictures.names import Split
from locality.pictures.recipe import Crop, Mode
from locality.types import ImageShape


@dataclass(frozen=True)
class Collection:
    """What to take from a path and how to make every image the same size.

    `limit`: at most this many images of each split, 0 for all. `key` names an array or a column, `values` says what
    is black and white (`locality.pictures.values`).
    """

    name: str
    path: Path
    resolution: int
    crop: Crop
    mode: Mode
    limit: int
    key: str = ""
    values: str = ""

    @property
    def shape(self) -> ImageShape:
        return ImageShape(3 if self.mode == "rgb" else 1, self.resolution, self.resolution)

    def count(self, split: Split) -> int:
        """Number of images of the split; lists the files, reads none. Raises as `load`."""
        train, test, _ = listed(self._request)
        return train if split == "train" else test

    def notes(self) -> list[str]:
        """What is left out or was understood in one way of several, in sentences. Raises as `load`."""
        return listed(self._request)[2]

    def load(self, split: Split) -> Dataset:
        """The split, in sorted order of names; the whole set is read the first time, and kept.

        Raises:
            BadInput: unreadable, too few images, or all of them the same.
            TooLarge: one image, or the decoded set, is over its budget.
        """
        kept = obtain(self._request)
        labels = kept.classes(split)
        marks = None if labels is None else torch.from_numpy(labels)
        return Dataset(self.name, split, self.shape, _tensor(kept, split), marks, mapped=True)

    @property
    def _request(self) -> Request:
        return Request(str(self.path), self.resolution, self.crop, self.mode, self.limit, self.key, self.values)


def _tensor(kept: Kept, split: Split) -> torch.Tensor:
    with warnings.catch_warnings():
        # The file is mapped to be read only. Nothing writes to a dataset, and a writable copy would take memory.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(kept.pixels(split))
