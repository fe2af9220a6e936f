"""A dataset by name that is read only when its images are needed.

Statistics and networks shipped for a standard set are found by its known fingerprint, so they work
where the images are not on the machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from locality.dataset import Dataset, Images
from locality.datasets._spec import DATASETS, DatasetSpec, Split
from locality.errors import DataUnavailable
from locality.types import ImageShape


@dataclass(frozen=True)
class Source(Images):
    """The training images of a spec (or its first N), and the held-out ones."""

    spec: DatasetSpec
    first: int | None = None

    @staticmethod
    def parse(text: str, first: int | None = None) -> Source:
        """`name:option=value,...` -> a source. Raises UnknownName or BadInput."""
        return Source(DATASETS.parse(text), first)

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def shape(self) -> ImageShape:
        return self.spec.shape

    @property
    def available(self) -> bool:
        """Whether the images are on this machine."""
        return not self.spec.missing()

    @cached_property
    def train(self) -> Dataset:
        """The training images. Raises DataUnavailable."""
        return self.spec.load("train").first(self.first)

    @cached_property
    def held_out(self) -> Dataset:
        """Images no statistic and no network has seen. Raises DataUnavailable."""
        return self.spec.load("test")

    @property
    def fingerprint(self) -> str:
        """Digest of the training images, or the known one of a standard set that is not here."""
        if self.available:
            return self.train.fingerprint
        return self.known_fingerprint("train")

    def known_fingerprint(self, split: Split) -> str:
        """Digest of a standard set's official images.

        Raises:
            DataUnavailable: none is known for this set, or only a part of it is asked for.
        """
        known = self.spec.fingerprints.get(split)
        if known is None or self.first is not None or self.spec != type(self.spec)():
            raise DataUnavailable(f"The {self.name} images are not on this machine. {self.spec.missing()}")
        return known
