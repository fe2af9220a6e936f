"""How a model leans on its training images: copies of them, and how many an average is made of."""

from __future__ import annotations

from jaxtyping import Bool, Float, Float64
from torch import Tensor

from locality.errors import BadInput

COPY = 1.0 / 3.0  # a sample this much nearer to one training image than to any other is called a copy


def is_copy(nearest: Float[Tensor, " n"], second: Float[Tensor, " n"]) -> Bool[Tensor, " n"]:
    """Whether d1 < d2 / 3: L2 distance to the nearest and to the second nearest training image.

    An image that is two training images at once (d2 = 0) is no copy of one.

    Source: Yoon et al. 2023, "Diffusion probabilistic models generalize when they fail to memorize".
    """
    return nearest < COPY * second


def effective_number(weights: Float[Tensor, "*q n"]) -> Float64[Tensor, "*q"]:
    """exp of the entropy of weights that sum to 1 over n items: 1 where one decides, n where all count equally.

    Raises:
        BadInput: weights that are negative, not finite, or do not sum to 1 (within 1e-3).
    """
    w = weights.double()
    off = (w.sum(dim=-1) - 1.0).abs()
    if not bool((w >= 0).all()) or not bool((off < 1e-3).all()):
        raise BadInput("Weights must not be negative and must sum to 1 over the last axis: give those of a softmax.")
    return (-(w * w.clamp(min=1e-300).log()).sum(dim=-1)).exp()
