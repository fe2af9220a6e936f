"""Models whose answer is one posterior mean over the images of their bank: those of parts of a bank merge."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from locality.denoisers.parts.bank import Bank
from locality.posterior import PosteriorMean
from locality.types import Denoiser, ImageShape


@runtime_checkable
class Averaging(Denoiser, Protocol):
    """A frozen dataclass with a `bank`: `posterior` of parts of the bank merge to that of all of it."""

    @property
    def bank(self) -> Bank: ...

    @property
    def merges(self) -> bool:
        """Whether they do with these options."""
        ...

    def posterior(self, x: Float[Tensor, "b d"], sigma: float) -> PosteriorMean:
        """The answer before it is divided: all three [b d], or one weight a noisy image [b 1]."""
        ...


@dataclass(frozen=True, eq=False)
class AverageOfBank(ABC):
    """One that is all `posterior`; it merges unless its options say otherwise."""

    bank: Bank

    @property
    def shape(self) -> ImageShape:
        return self.bank.shape

    @property
    def merges(self) -> bool:
        return True

    def __call__(self, x: Float[Tensor, "b d"], sigma: float) -> Float[Tensor, "b d"]:
        """Raises BadInput (size of x, sigma), NonFinite (x), TooLarge (memory budget)."""
        return self.posterior(x, sigma).mean().to(x.dtype)

    @abstractmethod
    def posterior(self, x: Float[Tensor, "b d"], sigma: float) -> PosteriorMean: ...


@runtime_checkable
class Composed(Denoiser, Protocol):
    """A model that asks others."""

    def with_parts(self, change: Callable[[Denoiser], Denoiser]) -> Denoiser:
        """The same with those it asks changed."""
        ...


def with_averages(denoiser: Denoiser, change: Callable[[Averaging], Denoiser]) -> Denoiser:
    """A model with every average in it, itself or one it asks, changed; those that do not merge stay."""
    if isinstance(denoiser, Averaging):
        return change(denoiser) if denoiser.merges else denoiser
    if isinstance(denoiser, Composed):
        return denoiser.with_parts(lambda part: with_averages(part, change))
    return denoiser
