"""Covariances of few images, of low rank plus isotropic rest: from the images themselves, never as d x d matrices.

    C_k = a_k S_k + (1 - a_k) P,   a_k = n_k / (n_k + prior)

P is the pooled covariance within groups, which counts as `prior` images in each. All of it is the product of a
factor of n_k + rank rows, F^T F, and a multiple of I; its leading directions come from the smaller of F F^T and F^T F,
or, where they are few among many, from subspace iteration with F.
Source: Halko, Martinsson, Tropp 2011 (SIAM Review 53(2)).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from locality.dataset import Dataset
from locality.denoisers.parts.mixture import Mixture
from locality.errors import NonFinite
from locality.linear.moments import estimate_moments
from locality.linear.wiener import decompose
from locality.work import Progress

_EXACT = 600  # sides of a matrix that are decomposed whole: as quick as an iteration
_ROUNDING = 1e-10  # eigenvalues below this share of the largest have no direction of their own
_ROUNDS = 2  # of subspace iteration
_SPARE = 16  # directions carried along
_BLOCK = 4096  # images at a time


@dataclass(frozen=True, eq=False)
class Thin:
    """U diag(l - s) U^T + s I: `eigvals` [r] descending, `eigvecs` [d r], `rest` s; float64."""

    eigvals: Float64[Tensor, " r"]
    eigvecs: Float64[Tensor, "d r"]
    rest: float

    def factor(self, share: float) -> Float64[Tensor, "r d"]:
        """Rows F with F^T F = share U diag(l - s) U^T."""
        return ((self.eigvals - self.rest).clamp(min=0.0) * share).sqrt()[:, None] * self.eigvecs.T


def thin_groups(
    train: Dataset,
    groups: Sequence[Int[Tensor, " _"]],
    rank: int,
    prior: float,
    fixed: float = 0.0,
    pooled: Thin | None = None,
) -> Generator[Progress, None, Mixture]:
    """Weights, means and covariances of groups of at least two images, each of rank `rank` plus isotropic rest.

    `prior`: how many images the pooled covariance counts as; 0: its share is `fixed` in every group. One group is not
    shrunk. `pooled`: that of these groups where it is known. Memory: 4 K d rank bytes of the result, and beside it
    16 d rank and 8 d (n_k + rank), and what `pooled_within` takes.

    Raises:
        NonFinite: the images hold NaN, infinity or huge values.
    """
    count, d = len(groups), train.shape.d
    rank = min(rank, d)
    sizes = torch.tensor([len(rows) for rows in groups], dtype=torch.float64)
    shares = prior / (sizes + prior) if prior else torch.full_like(sizes, fixed)
    if count == 1 or not bool(shares.any()):
        shares, pooled = torch.zeros_like(sizes), None
    elif pooled is None:
        pooled = yield from pooled_within(train, groups, rank)
    means = torch.empty(count, d, dtype=torch.float64)
    eigvals, eigvecs = torch.empty(count, rank, dtype=torch.float64), torch.empty(count, d, rank)
    rest = torch.empty(count, dtype=torch.float64)
    for i, rows in enumerate(groups):
        yield Progress(0.2 * count + 0.8 * i, count, f"Component {i + 1} of {count}")
        means[i], away = _centred(train, rows)
        share = float(shares[i])
        factor, floor = away.mul_(((1.0 - share) / (len(rows) - 1)) ** 0.5), 0.0
        if pooled is not None:
            factor, floor = torch.cat([factor, pooled.factor(share)]), share * pooled.rest
        one = _of_rows(factor, rank)
        eigvals[i], eigvecs[i], rest[i] = one.eigvals + floor, one.eigvecs.float(), one.rest + floor
    return Mixture(sizes / len(train), means, eigvals, eigvecs, rest if rank < d else None)


def pooled_within(train: Dataset, groups: Sequence[Int[Tensor, " _"]], rank: int) -> Generator[Progress, None, Thin]:
    """The pooled covariance within groups, of low rank plus rest.

    Memory: 8 d^2 bytes where there are at least as many images as coordinates, else 8 n d.
    """
    count, d = len(groups), train.shape.d
    rank = min(rank, d)
    divisor = max(1, len(train) - count)
    if len(train) < d:
        return _of_rows(torch.cat([_centred(train, rows)[1] for rows in groups]).div_(divisor**0.5), rank)
    yield Progress(0.0, count, "Pooled covariance")
    total = estimate_moments(train.data[at : at + _BLOCK] for at in range(0, len(train), _BLOCK))
    means = torch.stack([train.x0(rows).mean(dim=0, dtype=torch.float64) for rows in groups]) - total.mean()
    between = means * torch.tensor([float(len(rows)) for rows in groups])[:, None]
    cov = total.cov().mul_(len(train) - 1).addmm_(means.T, between.double(), alpha=-1.0).div_(divisor)
    if _few(rank, d):
        single = cov.float()
        return _iterated(lambda basis: single @ basis, d, rank, float(cov.trace()))
    eigvals, eigvecs = decompose(cov)
    return _cut(eigvals, eigvecs.double(), rank)


def _centred(train: Dataset, rows: Int[Tensor, " _"]) -> tuple[Float64[Tensor, " d"], Float64[Tensor, "n d"]]:
    away = train.x0(rows).double()
    mean = away.mean(dim=0)
    away -= mean
    if not bool(away.isfinite().all()):
        raise NonFinite("The images hold NaN or infinity; statistics need finite values. Clean or leave them out.")
    return mean, away


def _of_rows(factor: Float64[Tensor, "m d"], rank: int) -> Thin:
    """F^T F of low rank plus rest, without forming it where F has fewer rows than columns."""
    m, d = factor.shape
    if _few(rank, min(m, d)):
        trace, single = float(factor.square().sum()), factor.float()
        return _iterated(lambda basis: single.T @ (single @ basis), d, rank, trace)
    if m >= d:
        eigvals, eigvecs = decompose(factor.T @ factor)
        return _cut(eigvals, eigvecs.double(), rank)
    eigvals, left = torch.linalg.eigh(factor @ factor.T)
    eigvals, left = eigvals.flip(0).clamp(min=0.0), left.flip(1)
    if rank <= m and float(eigvals[rank - 1]) > _ROUNDING * float(eigvals[0]):
        basis = factor.T @ (left[:, :rank] / eigvals[:rank].sqrt())
    else:  # directions without variance are whatever completes the basis; QR keeps the others, up to sign
        some = torch.zeros(d, rank, dtype=torch.float64)
        some[:, : min(m, rank)] = factor.T @ left[:, :rank]
        basis = torch.linalg.qr(some).Q
    return _cut(torch.nn.functional.pad(eigvals, (0, max(0, d - m))), basis, rank)


def _few(rank: int, side: int) -> bool:
    return side > _EXACT and 3 * (rank + _SPARE) < side


def _cut(eigvals: Float64[Tensor, " k"], eigvecs: Float64[Tensor, "d l"], rank: int) -> Thin:
    d = len(eigvecs)
    rest = float(eigvals[rank:].sum()) / (d - rank) if rank < d else 0.0
    return Thin(eigvals[:rank], eigvecs[:, :rank], rest)


def _iterated(apply: Callable[[Float[Tensor, "d k"]], Float[Tensor, "d k"]], d: int, rank: int, trace: float) -> Thin:
    """Subspace iteration from seeded directions, in float32 as eigenvectors are kept.

    The leading values err by the square of what the space misses.
    """
    basis = torch.randn(d, rank + _SPARE, generator=torch.Generator().manual_seed(0))
    for _ in range(_ROUNDS):
        basis = torch.linalg.qr(apply(basis)).Q
    ritz, turn = torch.linalg.eigh((basis.T @ apply(basis)).double())
    eigvals = ritz.flip(0)[:rank].clamp(min=0.0)
    rest = max(trace - float(eigvals.sum()), 0.0) / (d - rank)
    return Thin(eigvals, (basis.double() @ turn.flip(1))[:, :rank], rest)
