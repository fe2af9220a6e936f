"""What every dataset plug-in declares: where its images come from and how to load them."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from locality.dataset import Dataset
from locality.datasets.parts.download import Download
from locality.pictures.names import Split as Split
from locality.specs import Registry, Spec
from locality.types import ImageShape, Pixel


@dataclass(frozen=True)
class DatasetInfo:
    """Facts shown beside the data: title, origin, licence and one sentence.

    `passes_on`: the licence asks for credit wherever anything made from the images goes; then also where its text
    is, and what was changed of the images.
    """

    title: str
    source: str
    licence: str
    about: str
    passes_on: bool = False
    licence_url: str = ""
    changes: str = ""


@dataclass(frozen=True)
class DatasetSpec(Spec):
    """Base of the dataset plug-ins.

    `fingerprints` holds the known content digests per split of sets that never change, at their
    default parameters: statistics shipped for them are found without the images; `excerpt` is how many of its
    held-out images may come with the repository: they serve as its held-out images where the set is not on the machine.
    `telling_sigma` is a noise level at which its fields show most, `telling_image` the number of a held-out image to
    open with; `look` says what to click on in its images.
    """

    info: ClassVar[DatasetInfo]
    fingerprints: ClassVar[dict[str, str]] = {}
    excerpt: ClassVar[int] = 0
    telling_sigma: ClassVar[float] = 1.0
    telling_image: ClassVar[int] = 0
    look: ClassVar[str] = "a pixel"
    asks: ClassVar[str] = ""  # the option without which there are no images: where one's own are

    @property
    @abstractmethod
    def shape(self) -> ImageShape:
        """Shape of one image."""

    @abstractmethod
    def count(self, split: Split = "train") -> int | None:
        """Number of images, None where only loading can tell."""

    @abstractmethod
    def load(self, split: Split = "train") -> Dataset:
        """Read or make the images.

        Raises:
            DataUnavailable: the files are not on this machine; says how to get them.
        """

    def known_fingerprint(self, split: Split) -> str | None:
        """Content digest of the official images with these options; None where none is known."""
        return self.fingerprints.get(split) if self == type(self)() else None

    def landmarks(self) -> dict[str, Pixel]:
        """Named pixels worth looking at first, in aligned images: pages open on the first."""
        return {}

    def missing(self) -> str:
        """Empty when `load` can work, else how to get the images."""
        return ""

    def notes(self) -> list[str]:
        """What reading leaves out, or understands in one way of several, a sentence each. Raises as `load`."""
        return []

    def stand_in(self, folder: Path) -> DatasetSpec | None:
        """For images nobody may pass on: write a few made-up ones in their layout, for the contract checks.

        Returns the spec that reads them with LOCALITY_DATA at `folder`; None where the checks need the images.
        """
        return None

    def download(self) -> Download | None:
        """What `download` would fetch, or None where there is nothing to fetch."""
        return None


DATASETS: Registry[DatasetSpec] = Registry("dataset", DatasetSpec)
