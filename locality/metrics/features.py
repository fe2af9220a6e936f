"""What the distances between sets of images share: checks of their features, and the jackknife."""

from __future__ import annotations

import math

from jaxtyping import Float, Float64
from torch import Tensor

from locality.errors import BadInput, NonFinite

_BLOCK = 8192  # images looked at together


def check_pair(x: Float[Tensor, "n f"], y: Float[Tensor, "m g"]) -> tuple[Float64[Tensor, "n f"], Float[Tensor, "m g"]]:
    """x in float64 and y as it is, on the CPU. Raises BadInput (numbers of features) and NonFinite."""
    if x.shape[1] != y.shape[1]:
        raise BadInput(f"{x.shape[1]} and {y.shape[1]} features cannot be compared: give both sets the same features.")
    check_finite(x, "features")
    check_finite(y, "features")
    return x.detach().cpu().double(), y.detach().cpu()


def check_finite(values: Float[Tensor, "n f"], what: str) -> None:
    """Raises NonFinite where a value is NaN or infinite."""
    if not all(bool(part.isfinite().all()) for part in values.split(_BLOCK)):
        raise NonFinite(f"The {what} hold NaN or infinity; distances need finite values. Check the images they are of.")


def jackknife(left_out: Float64[Tensor, " g"]) -> float:
    """Standard error of a statistic from its values with one of g equal groups left out at a time."""
    g = len(left_out)
    return math.sqrt((g - 1) / g * float((left_out - left_out.mean()).square().sum()))
