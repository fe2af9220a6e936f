"""What every analytic denoiser declares: hyper-parameters without data, and how to fit them."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from locality.dataset import Images
from locality.device import Compute
from locality.specs import Registry, Spec
from locality.store import Shipment, Store
from locality.types import Denoiser, ImageShape
from locality.work import Progress

D = TypeVar("D", bound="DenoiserSpec")


@dataclass(frozen=True)
class DenoiserSpec(Spec):
    """Base of the denoiser plug-ins; `paper` names the source, `cost` says how time grows."""

    paper: ClassVar[str]
    cost: ClassVar[str]
    heading: ClassVar[str] = ""  # its name in words; "" for that of its class, LocalScore as "Local score"
    # Questions of the benchmark by name -> entries, as `bench --model` takes them, that are compared with the defaults.
    ablations: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    @classmethod
    def title(cls) -> str:
        """Its name in words."""
        return cls.heading or re.sub(r"(?<=[a-z])([A-Z])", lambda found: f" {found[1].lower()}", cls.__name__)

    @abstractmethod
    def fit(
        self, images: Images, compute: Compute, store: Store, reference: Denoiser | None = None
    ) -> Generator[Progress, None, Denoiser]:
        """Yield progress, return a denoiser that is ready; deterministic.

        `reference` is the trained network named by `network_needed`, where there is one.
        """

    def network_needed(self) -> str:
        """Name of the trained network whose field or windows this model follows; "" for none."""
        return ""

    def check(self, dataset: str, shape: ImageShape) -> None:
        """Refuse, before any work, an option that images of this name and shape do not allow. Raises BadInput."""

    def settled(self: D, dataset: str) -> D:  # not Self: the shape checker of the tests refuses it
        """The same with what is published for a dataset written out."""
        return self

    @classmethod
    def released(cls, dataset: str, shape: ImageShape) -> dict[str, str]:
        """Names in published tables -> the entry of `bench --model` with the settings of the released code."""
        return {}

    def unlabelled(self) -> DenoiserSpec | None:
        """The same without the images' class labels, for one that uses them."""
        return None

    def note(self, available: int) -> str:
        """What must be said beside every result of this model on so many images; "" for nothing."""
        return ""

    def approximations(self, available: int) -> list[str]:
        """What keeps it from being exact over so many training images, a phrase each: printed beside its numbers."""
        note = self.note(available).removeprefix(f"{self.name}: ").removeprefix(f"{self.name} ").rstrip(".")
        return [note] if note else []

    def shipment(self, images: Images, fitted: Denoiser, store: Store) -> Shipment | None:
        """A long fit as a file for the repository, compact; None for a model that has nothing to keep."""
        return None


DENOISERS: Registry[DenoiserSpec] = Registry("model", DenoiserSpec)
