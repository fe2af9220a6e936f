"""The user's own images: any folder, zip, tar, npy, npz or parquet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, cast

from locality.dataset import Dataset
from locality.datasets.parts.collection import Collection
from locality.datasets.parts.spec import DATASETS, DatasetInfo, DatasetSpec, Split
from locality.datasets.parts.standins import picture, write_files
from locality.errors import DataUnavailable
from locality.pictures.opened import KINDS
from locality.pictures.recipe import Crop, Mode
from locality.pictures.uploads import is_gone
from locality.pictures.values import HELP, Values
from locality.sharing import exists, readable
from locality.specs import param
from locality.types import ImageShape


@DATASETS.register("folder")
@dataclass(frozen=True)
class Folder(DatasetSpec):
    """Images of any sizes, cropped and scaled to one; sorted by name.

    Folders, shards or arrays called train and test (or val) are the splits; without them every tenth image is held
    out. Class numbers come from the folders' names, from a StyleGAN dataset.json, WebDataset's .cls, labels beside the
    arrays or a column of labels.
    """

    path: str = param("", help="A folder, zip, tar, npy, npz or parquet with your images.", place=True)
    resolution: int = param(32, help="Side every image is scaled to.", low=4, high=256, unit="pixels")
    crop: str = param("centre", help="Crop to the centred square, or none: squeeze.", choices=("centre", "none"))
    mode: str = param("rgb", help="Colour or grey.", choices=("rgb", "grey"))
    limit: int = param(0, help="At most this many images of each split; 0 takes all.", low=0, high=10_000_000)
    array: str = param("", help="Which array of an npz or column of a parquet holds the images; key= too.", alias="key")
    values: str = param("", help=HELP)

    examples: ClassVar[tuple[str, ...]] = ("folder", "folder:mode=grey,crop=none,limit=5", "folder:values=float:0..255")
    asks: ClassVar[str] = "path"
    info: ClassVar[DatasetInfo] = DatasetInfo(
        title="Your images",
        source="files on this machine",
        licence="yours to know",
        about="Any folder, zip, tar, npy, npz or parquet of images: see which statistics your own data has.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        Values.parse(self.values)

    @property
    def shape(self) -> ImageShape:
        return self._collection.shape

    def count(self, split: Split = "train") -> int | None:
        return None if self.missing() else self._collection.count(split)

    def missing(self) -> str:
        if not self.path:
            return f"Give the path of {KINDS} with images: folder:path=PATH."
        path = self._collection.path
        if not exists(path) and is_gone(path):
            return (
                "These images were uploaded in a browser and removed when its session ended; nobody else has them. "
                "Upload them again, or give their path."
            )
        if not exists(path):
            return (
                f"{self.path} does not exist. Give the path of {KINDS}: folder:path=PATH, in "
                "parentheses where it holds a + before an edit's name or a comma."
            )
        return ""

    def load(self, split: Split = "train") -> Dataset:
        if why := self.missing():
            raise DataUnavailable(why)
        return self._collection.load(split)

    def notes(self) -> list[str]:
        return [] if self.missing() else self._collection.notes()

    def stand_in(self, folder: Path) -> Folder:
        write_files(folder / "mine", {f"{i:03d}.png": picture(i, 20, 30) for i in range(23)})
        return replace(self, path=str(folder / "mine"))

    @property
    def _collection(self) -> Collection:
        path = readable(self.path)
        crop, mode = cast(Crop, self.crop), cast(Mode, self.mode)
        return Collection(self.name, path, self.resolution, crop, mode, self.limit, self.array, self.values)
