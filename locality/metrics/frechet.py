"""The Frechet distance between two sets of images, seen through features: with Inception's it is FID."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from locality.errors import BadInput
from locality.metrics.features import check_pair, jackknife
from locality.metrics.summary import Summary

_GROUPS = 16  # of the jackknife
_BLOCK = 8192  # images of the larger set at a time


def frechet_distance(x: Float[Tensor, "n f"], y: Float[Tensor, "m g"]) -> Summary:
    """Squared Frechet distance of two Gaussians with the means and covariances (1/(n - 1)) of x and y; at least 0.

        |mu_x - mu_y|^2 + tr S_x + tr S_y - 2 tr (S_x^1/2 S_y S_x^1/2)^1/2

    Biased upwards, the more the fewer images: compare it only at the same n and m. With Inception features it is FID.
    The standard error is over x alone: a jackknife of 16 groups of images, nan where a group's absence would leave
    no more images than features.

    Memory: a few f^2 floats. Time: 17 eigendecompositions.

    Raises:
        BadInput: another number of features, or no more images than features: a covariance would be singular.
        NonFinite: NaN or infinity.
    Source: Heusel et al. 2017 (arXiv 1706.08500); Dowson, Landau 1982.
    """
    x, y = check_pair(x, y)
    n, f = x.shape
    if min(n, len(y)) <= f:
        raise BadInput(
            f"{min(n, len(y))} images for {f} features: the Frechet distance needs more images than features, or its "
            "covariances are singular. Draw more images, or use the kernel distance (KID), which has no such limit."
        )
    other = _moments(y)
    root = _root(other[1])
    value = _frechet(x, root, other)
    groups = torch.arange(n).tensor_split(_GROUPS)
    if n - len(groups[0]) <= f:
        return Summary(value, math.nan, n)
    parts = [_frechet(x[_without(n, group)], root, other) for group in groups]
    left_out = torch.tensor(parts, dtype=torch.float64)
    return Summary(value, jackknife(left_out), n)


def _frechet(
    x: Float64[Tensor, "n f"], root_y: Float64[Tensor, "f f"], other: tuple[Float64[Tensor, " f"], Tensor]
) -> float:
    mean, cov = x.mean(dim=0), _cov(x)
    # tr (S_y^1/2 S_x S_y^1/2)^1/2: symmetric, so no complex parts arise where covariances are singular.
    overlap = torch.linalg.eigvalsh(root_y @ cov @ root_y).clamp(min=0.0).sqrt().sum()
    spread = cov.trace() + other[1].trace() - 2.0 * overlap
    return max(float((mean - other[0]).square().sum() + spread), 0.0)


def _cov(x: Float64[Tensor, "n f"]) -> Float64[Tensor, "f f"]:
    away = x - x.mean(dim=0)
    return away.T @ away / (len(x) - 1)


def _moments(y: Float[Tensor, "m f"]) -> tuple[Float64[Tensor, " f"], Float64[Tensor, "f f"]]:
    """Mean and covariance, some rows at a time: y may be larger than memory."""
    parts = y.split(_BLOCK)
    mean = torch.stack([part.double().sum(dim=0) for part in parts]).sum(dim=0) / len(y)
    cov = y.new_zeros(y.shape[1], y.shape[1], dtype=torch.float64)
    for part in parts:
        away = part.double() - mean
        cov += away.T @ away
    return mean, cov / (len(y) - 1)


def _root(cov: Float64[Tensor, "f f"]) -> Float64[Tensor, "f f"]:
    """The symmetric square root."""
    eigvals, eigvecs = torch.linalg.eigh(cov)
    root: Tensor = (eigvecs * eigvals.clamp(min=0.0).sqrt()) @ eigvecs.T
    return root


def _without(n: int, group: Tensor) -> Tensor:
    keep = torch.ones(n, dtype=torch.bool)
    keep[group] = False
    return keep
