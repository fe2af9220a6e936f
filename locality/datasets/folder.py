"""The user's own images: any folder, zip or npz."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, cast

from locality.dataset import Dataset
from locality.datasets.parts.collection import Collection
from locality.datasets.parts.images import Crop, Mode
from locality.datasets.parts.spec import DATASETS, DatasetInfo, DatasetSpec, Split
from locality.datasets.parts.standins import picture, write_files
from locality.errors import DataUnavailable
from locality.sharing import exists, readable
from locality.specs import param
from locality.types import ImageShape


@DATASETS.register("folder")
@dataclass(frozen=True)
class Folder(DatasetSpec):
    """Images of any sizes, cropped and scaled to one; sorted by name.

    Folders called train and test (or val) are the splits; without them every tenth image is held
    out. Class numbers come from the folders' names, or from a StyleGAN dataset.json.
    """

    path: str = param("", help="A folder, .zip or .npz with your images.", place=True)
    resolution: int = param(32, help="Side every image is scaled to.", low=4, high=256, unit="pixels")
    crop: str = param("centre", help="Crop to the centred square, or none: squeeze.", choices=("centre", "none"))
    mode: str = param("rgb", help="Colour or grey.", choices=("rgb", "grey"))
    limit: int = param(0, help="At most this many images of each split; 0 takes all.", low=0, high=10_000_000)

    examples: ClassVar[tuple[str, ...]] = ("folder", "folder:mode=grey,crop=none,limit=5")
    info: ClassVar[DatasetInfo] = DatasetInfo(
        title="Your images",
        source="files on this machine",
        licence="yours to know",
        about="Any folder, zip or npz of images: see which statistics your own data has.",
    )

    @property
    def shape(self) -> ImageShape:
        return self._collection.shape

    def count(self, split: Split = "train") -> int | None:
        return None if self.missing() else self._collection.count(split)

    def missing(self) -> str:
        if not self.path:
            return "Give the path of a folder, .zip or .npz with images: folder:path=PATH."
        if not exists(self._collection.path):
            return (
                f"{self.path} does not exist. Give the path of a folder, .zip or .npz: folder:path=PATH, in "
                "parentheses where it holds a + before an edit's name or a comma."
            )
        return ""

    def load(self, split: Split = "train") -> Dataset:
        if why := self.missing():
            raise DataUnavailable(why)
        return self._collection.load(split)

    def stand_in(self, folder: Path) -> Folder:
        write_files(folder / "mine", {f"{i:03d}.png": picture(i, 20, 30) for i in range(23)})
        return replace(self, path=str(folder / "mine"))

    @property
    def _collection(self) -> Collection:
        path = readable(self.path)
        return Collection(self.name, path, self.resolution, cast(Crop, self.crop), cast(Mode, self.mode), self.limit)
