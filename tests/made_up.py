"""Models that exist for one test: registered like any other, and gone afterwards."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from locality.dataset import Images
from locality.denoisers import DENOISERS, DenoiserSpec
from locality.device import Compute
from locality.errors import TooLarge
from locality.specs import param
from locality.store import Store
from locality.types import Denoiser, ImageShape
from locality.work import Progress

Call = Callable[[Tensor, float], Tensor]
Fit = Callable[[Images, Denoiser | None], Call]


@dataclass(frozen=True, eq=False)
class MadeUpDenoiser:
    """A function with a shape."""

    shape: ImageShape
    call: Call

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        return self.call(x, sigma)


@contextmanager
def made_up(name: str, fit: Fit, *, network: str = "", note: str = "", memory: int = 0) -> Iterator[type[DenoiserSpec]]:
    """Register a model that `fit` makes: of the images and the reference network, a function of x and sigma."""

    @DENOISERS.register(name)
    @dataclass(frozen=True)
    class MadeUp(DenoiserSpec):
        """A model of a test.

        And a second paragraph.
        """

        paper: ClassVar[str] = "None"
        cost: ClassVar[str] = "nothing"
        examples: ClassVar[tuple[str, ...]] = (name,)
        strength: float = param(0.5, help="How much.", low=0.0, high=1.0, unit="px")
        sides: tuple[int, ...] = param((3, 5), help="Which.", low=1, high=9)
        rule: str = param("row", help="How.", choices=("row", "code"))

        def fit(
            self, images: Images, compute: Compute, store: Store, reference: Denoiser | None = None
        ) -> Generator[Progress, None, Denoiser]:
            yield Progress(0.0, 1.0, "Fitting")
            if compute.memory < memory:
                raise TooLarge("A model of a test", memory, compute.memory, "Give more.")
            return MadeUpDenoiser(images.shape, fit(images, reference))

        def network_needed(self) -> str:
            return network

        def note(self, available: int) -> str:
            return note.format(available)

    try:
        yield MadeUp
    finally:
        del DENOISERS._classes[name]
