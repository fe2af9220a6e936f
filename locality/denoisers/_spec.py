"""What every analytic denoiser declares: hyper-parameters without data, and how to fit them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator
from dataclasses import dataclass
from typing import ClassVar, Protocol

from locality.dataset import Dataset
from locality.device import Compute
from locality.params import Spec
from locality.registry import Registry
from locality.store import Store
from locality.types import Denoiser, ImageShape, Progress


class Images(Protocol):
    """What a fit may ask of a dataset: its identity, and the images only when they are needed."""

    @property
    def name(self) -> str: ...
    @property
    def shape(self) -> ImageShape: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def train(self) -> Dataset: ...


@dataclass(frozen=True)
class DenoiserSpec(Spec):
    """Base of the denoiser plug-ins; `paper` names the source."""

    paper: ClassVar[str]

    @abstractmethod
    def fit(self, images: Images, compute: Compute, store: Store) -> Generator[Progress, None, Denoiser]:
        """Yield progress, return a denoiser that is ready; deterministic."""


DENOISERS: Registry[DenoiserSpec] = Registry("model")
