"""Mean and covariance of a training set as one result, and the Wiener filter that follows, kept in the store.

A set made from another one by an edit may know its statistics without looking at an image; every
other set's are measured in one pass.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from locality.dataset import Dataset, Images
from locality.device import Compute
from locality.errors import BadInput, NonFinite
from locality.linear.bound import NothingPromised
from locality.linear.budget import check_budget
from locality.linear.compact import is_compact, unpack_compact
from locality.linear.gram import decompose_images
from locality.linear.leading import LARGE, RANK, lead
from locality.linear.moments import Moments
from locality.linear.passes import sum_images
from locality.linear.sketch import sketch
from locality.linear.stored import is_approximate, pack, unpack
from locality.linear.timed import with_time_left
from locality.linear.wiener import WienerFilter, decompose
from locality.schedule import check_sigma
from locality.store import Artifact, Store
from locality.types import ImageShape
from locality.work import Progress, map_progress

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
        return WienerFilter(shape, self.count, self.mean, *decompose(self.finite_cov()))

    def finite_cov(self) -> Float64[Tensor, "d d"]:
        """The covariance. Raises NonFinite."""
        if not bool(self.cov.isfinite().all()):
            raise NonFinite("The covariance is not finite. The images hold NaN, infinity or huge values.")
        return self.cov


@runtime_checkable
class Summing(Protocol):
    """A computation that adds up images elsewhere."""

    def moments(self, images: Images) -> Generator[Progress, None, Moments]:
        """Of all training images, to the last bit those of `sum_images` on one device."""
        ...


class Derived(Images):
    """A dataset of two splits that may follow from another one."""

    @property
    @abstractmethod
    def held_out(self) -> Dataset: ...

    @property
    def is_small(self) -> bool:
        """Whether its images are at hand and fewer than coordinates: their own products are then the quick way."""
        return False

    @abstractmethod
    def derive(self, compute: Compute, store: Store) -> Generator[Progress, None, Statistics | None]:
        """Its statistics from those of the other set; None where its images have to be looked at."""


def fit_filter(
    images: Images, compute: Compute, store: Store, *, exact: bool = False, leading: int = 0, approximate: int = 0
) -> Generator[Progress, None, WienerFilter]:
    """One pass over the images, or none for a set that derives, and one eigendecomposition; or what the store has.

    Of images of more than 8,192 coordinates that are no fewer than these, only the leading components are taken;
    `leading`: so many of them, of any images. `approximate`: so many, nearly, from two passes without the covariance.

    Memory: 24 d^2 bytes at the peak (227 MB at d = 3072), whatever the number of images; 48 d^2 for a derived set;
    32 n^2 + 4 n d for n < d images.

    What is shipped may be a compact basis; the `error` of the result says how far its rows may be off; `exact` takes
    only what is exact.

    Raises:
        BadInput: so many leading components are not to be had.
        DataUnavailable: the images are needed and are not on this machine.
    """
    if bool(exact) + bool(leading) + bool(approximate) > 1:
        raise BadInput("All components, only the leading ones, or an approximation: ask for one of them.")
    key: dict[str, str | int | bool] = {**store_key(images.fingerprint)}
    if approximate:
        made = store.kept(KIND, {**key, "approximate": approximate}, _sketch(images, compute, approximate))
        return unpack((yield from made))
    if leading:
        key["leading"] = leading
    elif exact and (kept := store.get(KIND, key)) is not None and is_approximate(kept):
        key["exact"] = True
    rank = 0 if exact else leading or (RANK if images.shape.d > LARGE else 0)
    found = yield from store.kept(KIND, key, _fit(images, compute, store, rank, asked=bool(leading)))
    return unpack_compact(found) if is_compact(found) else unpack(found)


def _sketch(images: Images, compute: Compute, rank: int) -> Generator[Progress, None, Artifact]:
    return pack((yield from sketch(images, rank, compute)), compact=False)


def _fit(
    images: Images, compute: Compute, store: Store, rank: int, *, asked: bool
) -> Generator[Progress, None, Artifact]:
    derives = isinstance(images, Derived) and not images.is_small
    known = (yield from images.derive(compute, store)) if isinstance(images, Derived) and derives else None
    if known is None:
        train = images.train
        few = len(train) < train.shape.d
        if few and asked:
            raise BadInput(
                f"{len(train):,} images have {len(train) - 1:,} components at most, and all of them are quick: "
                "leave the number of leading ones out."
            )
        check_budget(len(train), train.shape, compute, rank)
        if few:
            small = yield from decompose_images(train.data, train.shape, device=compute.device)
            return pack(small, compact=False)
        known = yield from _measured(images, compute, store)
    if rank:
        try:
            some = yield from lead(known.count, known.mean, known.finite_cov(), images.shape, rank)
            return pack(some, compact=False)
        except NothingPromised:
            if asked:
                raise
            check_budget(known.count, images.shape, compute)
    whole = yield from with_time_left(lambda: known.wiener(images.shape), images.shape.d, 0.5, 1.0)
    return pack(whole, compact=False)


def _measured(images: Images, compute: Compute, store: Store) -> Generator[Progress, None, Statistics]:
    work = compute.moments(images) if isinstance(compute, Summing) else sum_images(images, compute, store)
    moments = yield from map_progress(work, lambda event: replace(event, total=2.0 * event.total))
    return Statistics(moments.count, moments.mean(), moments.cov())


def solved_rows(
    images: Images, coords: Int[Tensor, " p"], sigma: float, compute: Compute, store: Store
) -> Generator[Progress, None, Float[Tensor, "p d"]]:
    """Exact rows of the Wiener filter without any basis, from one Cholesky factor; float32.

        row q of W = e_q - sigma^2 (S + sigma^2 I)^-1 e_q

    For images whose decomposition takes too long or does not fit. Memory: 24 d^2 bytes.

    Raises:
        BadInput: sigma is not a noise level.
        DataUnavailable: the images are needed and are not on this machine.
        NonFinite: the covariance is not finite.
    """
    noise = check_sigma(sigma) ** 2
    known = (yield from images.derive(compute, store)) if isinstance(images, Derived) else None
    system = (known or (yield from _measured(images, compute, store))).finite_cov().clone()
    yield Progress(0.6, 1.0, "Cholesky factor")
    system.diagonal().add_(noise)
    units = torch.zeros(len(system), len(coords), dtype=system.dtype, device=system.device)
    units[coords, torch.arange(len(coords))] = 1.0
    torch.linalg.cholesky(system, out=system)
    return (units - noise * torch.cholesky_solve(units, system)).T.float()


def statistics_of(images: Images, compute: Compute, store: Store) -> Generator[Progress, None, Statistics]:
    """Mean and covariance of a set, the covariance put together from its eigendecomposition."""
    return covariance_of((yield from fit_filter(images, compute, store)))


def covariance_of(wiener: WienerFilter) -> Statistics:
    """S = U diag(lambda) U^T + rest (I - U U^T), symmetric to the last bit."""
    basis = wiener.eigvecs.double()
    cov = (basis * (wiener.eigvals - wiener.rest)) @ basis.T
    cov.diagonal().add_(wiener.rest)
    return Statistics(wiener.count, wiener.mean.double(), torch.tril(cov) + torch.tril(cov, -1).T)


def store_key(fingerprint: str) -> dict[str, str | int]:
    """What the eigendecomposition of a training set depends on."""
    return {"fingerprint": fingerprint, "version": VERSION}
