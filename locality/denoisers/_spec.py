"""What every analytic denoiser declares: hyper-parameters without data, and how to fit them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator
from dataclasses import dataclass
from typing import ClassVar

from locality.dataset import Images
from locality.device import Compute
from locality.params import Spec
from locality.registry import Registry
from locality.store import Store
from locality.types import Denoiser, Progress


@dataclass(frozen=True)
class DenoiserSpec(Spec):
    """Base of the denoiser plug-ins; `paper` names the source."""

    paper: ClassVar[str]

    @abstractmethod
    def fit(self, images: Images, compute: Compute, store: Store) -> Generator[Progress, None, Denoiser]:
        """Yield progress, return a denoiser that is ready; deterministic."""


DENOISERS: Registry[DenoiserSpec] = Registry("model")
