"""Mean and covariance of a training set as one result, and the Wiener filter that follows, kept in the store.

A set made from another one by an edit may know its statistics without looking at an image; every
other set's are measured in one pass.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator
from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor

from locality.dataset import Dataset, Images
from locality.device import Compute
from locality.errors import NonFinite
from locality.linear.moments import accumulate_moments
from locality.linear.wiener import WienerFilter, decompose, pack, unpack
from locality.store import Artifact, Store
from locality.types import ImageShape
from locality.work import Progress

KIND, VERSION = "wiener", 1


@dataclass(frozen=True, eq=False)
class Statistics:
    """What a linear denoiser knows of a training set: `mean` [d], `cov` [d, d] (1 / (n - 1)), float64, units of x0.

    Memory: 8 d^2 bytes (75 MB at d = 3072).
    """

    count: int
    mean: Float64[Tensor, " d"]
    cov: Float64[Tensor, "d d"]

    def wiener(self, shape: ImageShape) -> WienerFilter:
        """The eigendecomposition. Raises NonFinite (values too large for float64 squares)."""
        if not bool(self.cov.isfinite().all()):
            raise NonFinite("The covariance is not finite. The images hold NaN, infinity or huge values.")
        return WienerFilter(shape, self.count, self.mean, *decompose(self.cov))


class Derived(Images):
    """A dataset of two splits that may follow from another one."""

    @property
    @abstractmethod
    def held_out(self) -> Dataset: ...

    @abstractmethod
    def derive(self, compute: Compute, store: Store) -> Generator[Progress, None, Statistics | None]:
        """Its statistics from those of the other set; None where its images have to be looked at."""


def fit_filter(images: Images, compute: Compute, store: Store) -> Generator[Progress, None, WienerFilter]:
    """One pass over the images, or none for a set that derives, and one eigendecomposition; or what the store has.

    Memory: 24 d^2 bytes at the peak (227 MB at d = 3072), whatever the number of images; 48 d^2 for a derived set.

    Raises:
        DataUnavailable: the images are needed and are not on this machine.
    """
    work = _fit(images, compute, store)
    return unpack((yield from store.kept(KIND, store_key(images.fingerprint), work)))


def _fit(images: Images, compute: Compute, store: Store) -> Generator[Progress, None, Artifact]:
    known = (yield from images.derive(compute, store)) if isinstance(images, Derived) else None
    if known is None:
        train = images.train
        for moments in accumulate_moments(train.chunks(compute.images), device=compute.device):
            yield Progress(0.5 * moments.count, len(train), "Covariance")
        yield Progress(0.5, 1.0, "Eigendecomposition")
        return pack(WienerFilter.fit(moments, train.shape), compact=False)
    yield Progress(0.5, 1.0, "Eigendecomposition")
    return pack(known.wiener(images.shape), compact=False)


def statistics_of(images: Images, compute: Compute, store: Store) -> Generator[Progress, None, Statistics]:
    """Mean and covariance of a set, the covariance put together from its eigendecomposition."""
    return covariance_of((yield from fit_filter(images, compute, store)))


def covariance_of(wiener: WienerFilter) -> Statistics:
    """S = U diag(lambda) U^T, symmetric to the last bit."""
    basis = wiener.eigvecs.double()
    cov = (basis * wiener.eigvals) @ basis.T
    return Statistics(wiener.count, wiener.mean.double(), torch.tril(cov) + torch.tril(cov, -1).T)


def store_key(fingerprint: str) -> dict[str, str | int]:
    """What the eigendecomposition of a training set depends on."""
    return {"fingerprint": fingerprint, "version": VERSION}
