"""Large photo sets that the user fetches: found by place, read as a collection."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from locality.dataset import Dataset
from locality.datasets.parts.collection import Collection
from locality.datasets.parts.files import data_roots
from locality.datasets.parts.spec import DatasetSpec, Split
from locality.errors import DataUnavailable
from locality.specs import param
from locality.types import ImageShape


@dataclass(frozen=True)
class PlacedSet(DatasetSpec):
    """Colour photographs in one of several layouts, cut to the centred square and scaled.

    Train and test (or val) folders are used where the layout has them; else every tenth image is
    held out. No official digests exist: what is found is read as it is, unverified.
    """

    resolution: int = param(64, help="Side every image is scaled to.", low=8, high=256, unit="pixels")
    limit: int = param(0, help="At most this many images of each split; 0 takes all.", low=0, high=100_000)

    places: ClassVar[tuple[str, ...]]  # folders and zips, relative to a data root, in order of preference
    advice: ClassVar[str]  # where to get the images

    @property
    def shape(self) -> ImageShape:
        return ImageShape(3, self.resolution, self.resolution)

    def count(self, split: Split = "train") -> int | None:
        return None if self.missing() else self._collection().count(split)

    def missing(self) -> str:
        return "" if self._path() else f"{self.advice} Put it under LOCALITY_DATA as one of: {', '.join(self.places)}."

    def load(self, split: Split = "train") -> Dataset:
        if why := self.missing():
            raise DataUnavailable(f"The {self.name} images are not on this machine. {why}")
        return self._collection().load(split)

    def notes(self) -> list[str]:
        return [] if self.missing() else self._collection().notes()

    def _path(self) -> Path | None:
        tried = (root / place for root in data_roots() for place in self.places)
        return next((path for path in tried if path.exists()), None)

    def _collection(self) -> Collection:
        path = self._path()
        assert path is not None, "callers ask missing() first"
        return Collection(self.name, path, self.resolution, "centre", "rgb", self.limit)
