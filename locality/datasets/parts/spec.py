"""What every dataset plug-in declares: where its images come from and how to load them."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from locality.dataset import Dataset
from locality.datasets.parts.download import Download
from locality.specs import Registry, Spec
from locality.types import ImageShape

Split = Literal["train", "test"]


@dataclass(frozen=True)
class DatasetInfo:
    """Facts shown beside the data: title, origin, licence and one sentence."""

    title: str
    source: str
    licence: str
    about: str


@dataclass(frozen=True)
class DatasetSpec(Spec):
    """Base of the dataset plug-ins.

    `fingerprints` holds the known content digests per split of sets that never change, at their
    default parameters: statistics shipped for them are found without the images.
    """

    info: ClassVar[DatasetInfo]
    fingerprints: ClassVar[dict[str, str]] = {}

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

    def missing(self) -> str:
        """Empty when `load` can work, else how to get the images."""
        return ""

    def stand_in(self, folder: Path) -> DatasetSpec | None:
        """For images nobody may pass on: write a few made-up ones in their layout, for the contract checks.

        Returns the spec that reads them with LOCALITY_DATA at `folder`; None where the checks need the images.
        """
        return None

    def download(self) -> Download | None:
        """What `download` would fetch, or None where there is nothing to fetch."""
        return None


DATASETS: Registry[DatasetSpec] = Registry("dataset", DatasetSpec)
