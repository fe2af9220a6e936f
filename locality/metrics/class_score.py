"""How sure a classifier is of each sample, and how evenly the classes occur: with Inception's classes it is IS."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from locality.errors import BadInput
from locality.metrics.features import check_finite, jackknife
from locality.metrics.summary import Summary


def inception_score(probs: Float[Tensor, "n c"]) -> Summary:
    """exp of the mean divergence of class probabilities from their mean: 1 (all alike) .. c. Standard error: jackknife.

        exp( mean_i KL(p_i || mean p) ) = exp( H(mean p) - mean_i H(p_i) )

    Over all n images at once, which with few images is biased downwards; published scores are means of ten parts of
    5,000. It is the inception score (IS) with Inception's probabilities only.

    Raises:
        BadInput: rows that are no probabilities, or no row.
        NonFinite: NaN or infinity.
    Source: Salimans et al. 2016 (arXiv 1606.03498).
    """
    p = probs.double()
    check_finite(p, "probabilities")
    n = len(p)
    if n < 1 or bool((p < 0).any()) or bool(((p.sum(dim=1) - 1.0).abs() > 1e-3).any()):
        raise BadInput("The score needs rows of class probabilities: not negative, each row summing to 1.")
    each, mean = _entropy(p), p.mean(dim=0)
    value = float((_entropy(mean) - each.mean()).exp())
    if n < 2:
        return Summary(value, math.nan, n)
    rest = (n * mean - p).clamp(min=0.0) / (n - 1)
    left_out = (_entropy(rest) - (each.sum() - each) / (n - 1)).exp()
    return Summary(value, jackknife(left_out), n)


def _entropy(p: Float64[Tensor, "*n c"]) -> Float64[Tensor, "*n"]:
    entropy: Tensor = -torch.special.xlogy(p, p).sum(dim=-1)
    return entropy
