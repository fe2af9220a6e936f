"""Held-out denoising error, and its ratio to another denoiser's."""

from __future__ import annotations

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from locality.noise import running_noise
from locality.types import Denoiser

RATIO_SIGMAS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)  # the noise levels a trained network is evaluated at


@torch.no_grad()
def denoising_errors(
    denoiser: Denoiser,
    x0: Float[Tensor, "n d"],
    sigma: float,
    *,
    seed: int = 0,
    batch: int = 128,
) -> Float[Tensor, " n"]:
    """||D(x0 + sigma eps) - x0||^2 per image, in [-1, 1] units squared, summed over d; float64.

    `batch` bounds memory and never changes the result.
    """
    noise = running_noise(len(x0), x0.shape[1], seed)
    errors = []
    for part, eps in zip(x0.split(batch), noise.split(batch), strict=True):
        errors.append((denoiser(part + sigma * eps.to(part.device), sigma) - part).double().square().sum(dim=1))
    return torch.cat(errors)


def error_ratio(
    denoiser: Denoiser,
    reference: Denoiser,
    x0: Float[Tensor, "n d"],
    sigma: float,
    *,
    seed: int = 0,
) -> float:
    """Held-out error of a denoiser over that of a reference, same images and noise; below 1 is better."""
    ours, theirs = (denoising_errors(model, x0, sigma, seed=seed).mean() for model in (denoiser, reference))
    return float(ours / theirs)


def ratio_scores(ours: Float[Tensor, "*s n"], theirs: Float[Tensor, "*s n"]) -> Float64[Tensor, "*s n"]:
    """Scores per image whose mean is the ratio of the mean errors, r = mean(a) / mean(b), over the same n images.

        score_i = r + (a_i - r b_i) / mean(b)

    Their standard error is the delta method's for r, and their paired differences are those of two ratios with the
    same denominator: what noise in mean(b) does is in both. Images where either error is nan are left out (nan).
    """
    a, b = ours.double(), theirs.double()
    both = a.isfinite() & b.isfinite()
    a, b = a.where(both, torch.nan), b.where(both, torch.nan)
    mean_b = b.nanmean(dim=-1, keepdim=True)
    ratio = a.nanmean(dim=-1, keepdim=True) / mean_b
    return ratio + (a - ratio * b) / mean_b
