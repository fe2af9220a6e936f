"""Mean and covariance of a training set as one result, and the Wiener filter that follows, kept in the store.

A set made from another one by an edit may know its statistics without looking at an image; every
other set's are measured in one pass.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from locality.dataset import Dataset, Images
from locality.device import Compute
from locality.errors import BadInput, NonFinite, TooLarge
from locality.linear.compact import is_compact, unpack_compact
from locality.linear.gram import decompose_images
from locality.linear.leading import LARGE, RANK, NothingPromised, lead
from locality.linear.moments import Moments, Pairs, accumulate_moments
from locality.linear.timed import with_time_left
from locality.linear.wiener import WienerFilter, decompose, is_approximate, pack, unpack
from locality.memory import free_memory
from locality.schedule import check_sigma
from locality.store import Artifact, Store
from locality.types import ImageShape
from locality.work import Progress

KIND, VERSION = "wiener", 1
_PART, _PARTS = 8192, 8  # float images of a part at least, and parts at most: each takes 8 d^2 bytes


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
        """Of all training images; those of `parts_of` merged as `Pairs` does."""
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
    images: Images, compute: Compute, store: Store, *, exact: bool = False, leading: int = 0
) -> Generator[Progress, None, WienerFilter]:
    """One pass over the images, or none for a set that derives, and one eigendecomposition; or what the store has.

    Of images of more than 8,192 coordinates that are no fewer than these, only the leading components are taken;
    `leading`: so many of them, of any images.

    Memory: 24 d^2 bytes at the peak (227 MB at d = 3072), whatever the number of images; 48 d^2 for a derived set;
    32 n^2 + 4 n d for n < d images.

    What is shipped may be a compact basis; the `error` of the result says how far its rows may be off; `exact` takes
    only what is exact.

    Raises:
        BadInput: so many leading components are not to be had.
        DataUnavailable: the images are needed and are not on this machine.
    """
    if exact and leading:
        raise BadInput("All components, or only the leading ones: ask for one of the two.")
    key: dict[str, str | int | bool] = {**store_key(images.fingerprint)}
    if leading:
        key["leading"] = leading
    elif exact and (kept := store.get(KIND, key)) is not None and is_approximate(kept):
        key["exact"] = True
    rank = 0 if exact else leading or (RANK if images.shape.d > LARGE else 0)
    found = yield from store.kept(KIND, key, _fit(images, compute, store, rank, asked=bool(leading)))
    return unpack_compact(found) if is_compact(found) else unpack(found)


def check_budget(n: int, shape: ImageShape, compute: Compute, rank: int = 0) -> None:
    """Refuse a decomposition, or so many leading components, that the memory does not hold; say what it would hold.

    Raises:
        TooLarge: with the largest number of images and the largest square images that fit.
    """
    budget, d = compute.decomposition or free_memory(), shape.d
    need = _needed(n, d, rank)
    if budget is None or need <= budget:
        return
    few = next((k for k in (2**i for i in range(20, 0, -1)) if k < min(n, d) and _needed(k, d) <= budget), 0)
    side = next((s for s in range(max(shape.h, shape.w), 0, -1) if _needed(n, shape.c * s * s) <= budget), 0)
    fits = [f"images of {side}x{side}"] * (side > 0) + [f"the first {few:,} of them (rank {few - 1:,})"] * (few > 0)
    if n >= d:
        ranks = (2**i for i in range(14, 5, -1))
        fits += [f"{k:,} leading components (--leading {k})" for k in ranks if k < d and _needed(n, d, k) <= budget][:1]
    fits += ["one field at a time without it (field --solve)"] * (24 * d * d <= budget)
    raise TooLarge(
        f"The decomposition of {n:,} images of {shape}", need, budget, f"What fits: {' or '.join(fits) or 'nothing'}."
    )


def _needed(n: int, d: int, rank: int = 0) -> int:
    """Bytes at the peak, measured: two matrices of LAPACK's beside the covariance and its basis, or the Gram matrix."""
    if n < d:
        return 40 * n * n + 6 * n * d
    return 32 * d * d + 64 * d * rank if rank else 42 * d * d


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
        known = yield from _measured(images, compute)
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


def _measured(images: Images, compute: Compute) -> Generator[Progress, None, Statistics]:
    work = compute.moments(images) if isinstance(compute, Summing) else _summed(images.train, compute)
    moments = yield from work
    return Statistics(moments.count, moments.mean(), moments.cov())


def _summed(train: Dataset, compute: Compute) -> Generator[Progress, None, Moments]:
    pairs = Pairs()
    for start, stop in parts_of(train):
        chunks = (train.data[at : min(at + compute.images, stop)] for at in range(start, stop, compute.images))
        for moments in accumulate_moments(chunks, device=compute.device):
            yield Progress(0.5 * (start + moments.count), len(train), "Covariance")
        pairs.add(moments)
    return pairs.total()


def parts_of(train: Dataset) -> list[tuple[int, int]]:
    """Rows, from and up to, whose sums are merged two by two: they, and not who summed what, decide the last bits.

    Sums of 8-bit images are whole numbers, the same in any order: one part.
    """
    n = len(train)
    size = n if train.is_8bit else _PART * -(-n // (_PART * _PARTS))
    return [(start, min(start + size, n)) for start in range(0, n, size)]


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
    system = (known or (yield from _measured(images, compute))).finite_cov().clone()
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
