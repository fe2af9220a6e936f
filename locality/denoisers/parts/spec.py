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
from locality.types import Denoiser, ImageShape
from locality.work import Progress


@dataclass(frozen=True)
class DenoiserSpec(Spec):
    """Base of the denoiser plug-ins; `paper` names the source, `cost` says how time grows."""

    paper: ClassVar[str]
    cost: ClassVar[str]

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

    def note(self, available: int) -> str:
        """What must be said beside every result of this model on so many images; "" for nothing."""
        return ""


DENOISERS: Registry[DenoiserSpec] = Registry("model")
