"""What a network predicts, as two scalars of the noise, and lists of noise levels in whatever form."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from locality.errors import BadInput


def outputs(gives: str, s: Float[Tensor, " b"]) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
    """u0 = skip u + out F, by what the network predicts; s and u in its own units.

    eps (u - u0) / s; residual u - u0; score (u0 - u) / s^2; v = alpha eps - s alpha u0 with alpha = 1 / sqrt(1 + s^2)
    (Salimans and Ho 2022, arXiv 2202.00512).
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


def as_levels(values: Sequence[float] | Tensor | None) -> tuple[float, ...]:
    """A list of numbers in whatever form. Raises BadInput."""
    try:
        return () if values is None else tuple(float(value) for value in values)
    except (TypeError, ValueError):
        raise BadInput(f"levels={values!r} is no list of numbers, one for each step.") from None
