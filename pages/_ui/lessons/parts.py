"""What several lessons compute from shipped statistics, tables and studies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from jaxtyping import Float, Float64
from numpy.typing import NDArray
from torch import Tensor

from locality.datasets import Source
from locality.errors import DataUnavailable
from locality.linear.wiener import WienerFilter, decompose
from locality.schedule import check_sigma
from locality.studies import AgreementPlan, Bench, finish, fit_wiener, found_agreement, shipped_benches
from locality.types import ImageShape


def wiener_of(name: str) -> WienerFilter:
    """The filter of a dataset whose statistics are shipped."""
    return finish(fit_wiener(Source.parse(name)))


def brightness(name: str, scale: float) -> WienerFilter:
    """The filter of `scale` times the sum of a dataset's colours, one channel: grey at 1/3, and at 1/sqrt(3) the
    component of brightness, in which noise on every colour has the same sigma."""
    one = _summed(name)
    return replace(one, mean=one.mean * scale, eigvals=one.eigvals * scale**2)


@cache
def _summed(name: str) -> WienerFilter:
    wiener = wiener_of(name)
    c, h, w = wiener.shape
    summed = wiener.eigvecs.double().reshape(c, h * w, -1).sum(dim=0)
    cov = summed * wiener.eigvals @ summed.T
    mean = wiener.mean.double().reshape(c, -1).sum(dim=0)
    return WienerFilter(ImageShape(1, h, w), wiener.count, mean, *decompose((cov + cov.T) / 2))


def weights(cov: Float64[Tensor, "n n"], at: int, sigma: float) -> Float64[Tensor, " n"]:
    """Row `at` of S (S + sigma^2 I)^-1 for some pixels alone."""
    system = cov + check_sigma(sigma) ** 2 * torch.eye(len(cov), dtype=cov.dtype)
    return torch.linalg.solve(system, cov[at])


def agreement_with_wiener(name: str, network: str, sigma: float) -> tuple[float, float, float]:
    """Pearson r without the own pixel of a network's fields and the predicted ones, its standard error over draws, and
    the noise level: the one of the shipped study nearest to `sigma`. Raises DataUnavailable."""
    study = found_agreement(Source.parse(name), ["wiener", network], plan=AgreementPlan())
    if study is None:
        raise DataUnavailable(f"The agreement study of {name} is not in cache/shipped. Restore it with git checkout.")
    at = nearest(study.sigmas, sigma)
    return float(study.off_centre.value[at, 0, 1]), float(study.off_centre.stderr[at, 0, 1]), study.sigmas[at]


def nearest(levels: Sequence[float], sigma: float) -> int:
    """The place of the level nearest to sigma in its logarithm."""
    return min(range(len(levels)), key=lambda i: abs(math.log(levels[i] / sigma)))


def mean_and_error(values: Float[Tensor, " n"]) -> tuple[float, float]:
    """Mean of n values and its standard error."""
    return float(values.mean()), float(values.std() / math.sqrt(len(values)))


def coded_basis(wiener: WienerFilter, rank: int) -> tuple[dict[str, float], dict[str, NDArray[Any]]]:
    """The `rank` leading components summed over channels, as `Basis` of the explorer reads them: 16 bits a value, the
    others as one `rest`."""
    c, h, w = wiener.shape
    summed = wiener.eigvecs[:, :rank].reshape(c, h * w, -1).sum(dim=0)
    scale = summed.abs().amax(dim=0).clamp(min=1e-30) / 32_767
    rest = max(wiener.trace - float(wiener.eigvals[:rank].sum()), 0.0) / (wiener.shape.d - rank)
    arrays = {"codes": (summed / scale).round().short(), "scale": scale, "eigvals": wiener.eigvals[:rank].double()}
    return {"rest": rest, "channels": c}, {name: array.contiguous().numpy() for name, array in arrays.items()}


def leaderboard_of(name: str, reference: str) -> Bench:
    """The shipped benchmark of a dataset with all training images: the one of the most models."""
    found = [one for one in shipped_benches() if (one.dataset, one.reference) == (name, reference)]
    return max(found, key=lambda one: (len(one.names), not one.plan.presets))
