"""Groups of images, each with a Gaussian of its own: their covariances, shrunk and decomposed."""

from __future__ import annotations

from collections.abc import Generator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from locality.dataset import Dataset
from locality.denoisers.parts.mixture import Mixture
from locality.device import Compute
from locality.errors import NonFinite
from locality.linear.moments import Moments, estimate_moments
from locality.linear.passes import chunk_size
from locality.linear.wiener import decompose
from locality.work import Progress

_BLOCK = 4096  # images per chunk of a mean


def merge_lone(train: Dataset, groups: list[Int[Tensor, " _"]]) -> list[Int[Tensor, " _"]]:
    """The groups, after each group of one image has joined the group whose mean is nearest to it."""
    while len(groups) > 1 and min(map(len, groups)) < 2:
        lone = groups.pop(min(range(len(groups)), key=lambda i: len(groups[i])))
        means = torch.stack([_mean(train, rows) for rows in groups])
        nearest = int((means - _mean(train, lone)).square().sum(dim=1).argmin())
        groups[nearest] = torch.cat([groups[nearest], lone]).sort().values
    return groups


def decompose_groups(
    train: Dataset, groups: list[Int[Tensor, " _"]], shrink: float, compute: Compute
) -> Generator[Progress, None, Mixture]:
    """Weights, means and covariances (1 - shrink) S_k + shrink S_pooled, decomposed, one group at a time.

    The pooled covariance takes a pass of its own, which is cheap beside the decompositions: keeping
    all covariances in float64 instead would take twice the memory of the result.
    """
    count, d = len(groups), train.shape.d
    pooled = torch.zeros(d, d, dtype=torch.float64, device=compute.device)
    if shrink and count > 1:
        for i, rows in enumerate(groups):
            yield Progress(0.2 * i, count, f"Covariance of group {i + 1} of {count}")
            pooled.add_(_moments(train, rows, compute).cov(), alpha=(len(rows) - 1) / (len(train) - count))
    means = torch.empty(count, d, dtype=torch.float64)
    eigvals, eigvecs = torch.empty_like(means), torch.empty(count, d, d)
    for i, rows in enumerate(groups):
        yield Progress(0.2 * count + 0.8 * i, count, f"Eigendecomposition of group {i + 1} of {count}")
        moments = _moments(train, rows, compute)
        cov = moments.cov()
        if count > 1:
            cov.mul_(1.0 - shrink).add_(pooled, alpha=shrink)
        if not bool(cov.isfinite().all()):
            raise NonFinite("The covariance is not finite. The images hold NaN, infinity or huge values.")
        means[i] = moments.mean()
        eigvals[i], eigvecs[i] = decompose(cov)
    weights = torch.tensor([len(rows) for rows in groups], dtype=torch.float64) / len(train)
    return Mixture(weights, means, eigvals, eigvecs)


def _moments(train: Dataset, rows: Int[Tensor, " _"], compute: Compute) -> Moments:
    size = chunk_size(train, compute)
    return estimate_moments((train.data[part] for part in rows.split(size)), devices=compute.devices)


def _mean(train: Dataset, rows: Int[Tensor, " _"]) -> Float[Tensor, " d"]:
    return torch.stack([train.x0(part).double().sum(dim=0) for part in rows.split(_BLOCK)]).sum(dim=0) / len(rows)
