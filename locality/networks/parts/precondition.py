"""What a network predicts, as four scalars of sigma around the raw network F:

    D(x; sigma) = c_skip x + c_out F(c_in x; c_noise)

EDM's form (Karras et al. 2022, arXiv 2206.00364, table 1) holds eps-, v- and x0-prediction too: only
the scalars differ, so nothing else knows which one a network uses. v is the usual one (Salimans and Ho 2022,
arXiv 2202.00512): of the variance-preserving image alpha x0 + s eps = x / sqrt(1 + sigma^2) it is alpha eps - s x0.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from locality.errors import BadInput

PREDICTIONS = ("edm", "v", "eps", "x0")
V = "alpha eps - sigma x0"  # what v means; networks and trainings kept by format 1 mean its negative


class Scalars(NamedTuple):
    """c_skip, c_out, c_in for each sigma."""

    c_skip: Float[Tensor, " b"]
    c_out: Float[Tensor, " b"]
    c_in: Float[Tensor, " b"]


def scalars(prediction: str, sigma: Float[Tensor, " b"], sigma_data: float) -> Scalars:
    """The scalars of one prediction type. sigma in units of x0; sigma_data only matters for edm."""
    if prediction not in PREDICTIONS:
        raise BadInput(f"prediction={prediction!r}: choose one of {', '.join(PREDICTIONS)}.")
    if prediction != "edm":
        return Scalars(*outputs(prediction, sigma), torch.rsqrt(1 + sigma**2))
    total = torch.rsqrt(sigma**2 + sigma_data**2)
    return Scalars((sigma_data * total) ** 2, sigma * sigma_data * total, total)


def outputs(gives: str, s: Float[Tensor, " b"]) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
    """u0 = skip u + out F, by what the network predicts of u = u0 + s eps; with a minus before it, its negative.

    eps (u - u0) / s; residual u - u0; score (u0 - u) / s^2; v = alpha eps - s alpha u0 with alpha = 1 / sqrt(1 + s^2).
    """
    one = torch.ones_like(s)
    alpha = torch.rsqrt(1 + s**2)
    sign = -1.0 if gives.startswith("-") else 1.0
    match gives.removeprefix("-"):
        case "eps":
            return one, -sign * s
        case "x0":
            return torch.zeros_like(s), one
        case "v":
            return alpha**2, -sign * s * alpha
        case "residual":
            return one, -sign * one
    return one, s**2


def noise_label(sigma: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
    """c_noise: about 80 at sigma = 0.002 and 1140 at sigma = 80, the range of a timestep embedding."""
    return 100.0 * (torch.log(sigma) + 7.0)
