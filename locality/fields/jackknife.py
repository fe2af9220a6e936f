"""The jackknife: a standard error of any estimate from what it gives without each of its draws."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor


def jackknife(left_out: Float[Tensor, "k ..."]) -> Float[Tensor, "..."]:
    """Standard error of an estimate from k draws; `left_out` holds it without each.

    Source: Quenouille 1956 (Biometrika 43); Tukey 1958 (Annals of Mathematical Statistics 29).
    """
    count = len(left_out)
    found: Tensor = ((left_out - left_out.mean(dim=0)).square().sum(dim=0) * (count - 1) / count).sqrt()
    return found
