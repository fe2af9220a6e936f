"""Weights by least squares with a ridge towards a prior, as strong as images left out find best."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

_RIDGES = tuple(10.0**power for power in range(-3, 7))  # of the normal matrix's mean diagonal


def least_squares(
    answers: Float[Tensor, "f b d"], target: Float[Tensor, "b d"], prior: Float[Tensor, " f"]
) -> Float[Tensor, " f"]:
    """Weights a that make sum_f a_f answers_f most like the target, with a ridge towards the prior; float64.

    The ridge is the largest of `_RIDGES` whose error on images left out of b, one at a time, is within two standard
    errors of the least: a hundred images have a mean of their own, and weights that fit it do harm.
    """
    flat, wanted, prior = answers.double(), target.double(), prior.double().to(answers.device)
    normals = torch.einsum("fbd,gbd->bfg", flat, flat)
    right = torch.einsum("fbd,bd->bf", flat, wanted)
    every, sums = normals.sum(dim=0), right.sum(dim=0)
    scale = every.diagonal().mean() * torch.eye(len(flat), dtype=torch.float64, device=flat.device)

    def solved(normal: Float[Tensor, "*b f f"], side: Float[Tensor, "*b f"], ridge: float) -> Float[Tensor, "*b f"]:
        moved: Tensor = torch.linalg.solve(normal + ridge * scale, side - normal @ prior)
        return prior + moved

    def left_out(ridge: float) -> Float[Tensor, " b"]:
        a = solved(every - normals, sums - right, ridge)
        errors: Tensor = torch.einsum("bf,bfg,bg->b", a, normals, a) - 2.0 * (a * right).sum(dim=1)
        return errors

    errors = {ridge: left_out(ridge) for ridge in _RIDGES}
    best = min(errors.values(), key=lambda found: float(found.sum()))
    more = {ridge: found - best for ridge, found in errors.items()}
    close = [r for r, by in more.items() if float(by.mean()) <= 2.0 * float(by.std()) / len(by) ** 0.5]
    weights: Float[Tensor, " f"] = solved(every, sums, max(close))
    return weights.cpu()
