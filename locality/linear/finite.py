"""Finite samples: the noise level at which a filter of n images acts as that of all images would.

    kappa = sigma^2 + (kappa / n) tr[S (S + kappa I)^-1]

Source: deterministic equivalents of ridge regression, e.g. Bach 2024 (SIAM J. Math. Data Sci. 6(1)); for diffusion
models arXiv 2602.02908.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

_STEPS = 60  # of Newton's method at most; ten do where n is not close to the rank
_CLOSE = 1e-12


def effective_noise(
    eigvals: Float[Tensor, "k r"],
    rest: Float[Tensor, " k"],
    outside: int,
    counts: Float[Tensor, " k"],
    variance: float,
) -> Float[Tensor, " k"]:
    """kappa of k covariances at noise of this variance, float64; `outside` directions each share the variance `rest`.

    kappa - f(kappa) is convex, so that Newton's method from above, sigma^2 + tr S / n, falls to the one root.
    """
    trace = eigvals.sum(dim=1) + outside * rest
    kappa = variance + trace / counts
    for _ in range(_STEPS):
        gains = eigvals / (eigvals + kappa[:, None])
        rest_gain = rest / (rest + kappa)
        held = (gains.sum(dim=1) + outside * rest_gain) / counts
        slope = 1.0 - (gains.square().sum(dim=1) + outside * rest_gain.square()) / counts
        step = (kappa * (1.0 - held) - variance) / slope.clamp(min=1e-12)
        moved = (kappa - step).clamp(min=variance)
        if kappa.is_cpu and bool(((kappa - moved).abs() <= _CLOSE * moved).all()):  # a GPU would have to be waited for
            return moved
        kappa = moved
    return kappa
