"""Numbers that compare denoisers: held-out error and its ratio to Wiener's; the share of an answer explained."""

from __future__ import annotations

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from locality.types import Denoiser

RATIO_SIGMAS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)  # the noise levels a trained network is judged at


@torch.no_grad()
def denoising_errors(
    denoiser: Denoiser,
    x0: Float[Tensor, "n d"],
    sigma: float,
    *,
    generator: torch.Generator,
    batch: int = 128,
) -> Float[Tensor, " n"]:
    """||D(x0 + sigma eps) - x0||^2 per image, in [-1, 1] units squared, summed over d; float64.

    Noise is drawn image by image in order, so `batch` never changes the result.
    """
    errors = []
    for part in x0.split(batch):
        eps = torch.stack([torch.randn(part.shape[1], generator=generator) for _ in part]).to(part.device)
        errors.append((denoiser(part + sigma * eps, sigma) - part).double().square().sum(dim=1))
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
    ours, theirs = (
        denoising_errors(model, x0, sigma, generator=torch.Generator().manual_seed(seed)).mean()
        for model in (denoiser, reference)
    )
    return float(ours / theirs)


def explained(
    estimate: Float[Tensor, "n d"], target: Float[Tensor, "n d"], *, constant: float = 1e-12
) -> Float64[Tensor, " n"]:
    """R2 per image: share of the target's variance that the estimate explains; at most 1, can be negative.

        R2 = 1 - sum (a - u)^2 / sum (u - mean(u))^2

    over all pixels and channels, mean(u) one number per image. nan where u is constant: where its variance
    is below `constant` times its mean square.
    """
    a, u = estimate.double(), target.double()
    spread = (u - u.mean(dim=1, keepdim=True)).square().sum(dim=1)
    varies = spread > constant * u.square().sum(dim=1)
    return 1.0 - (a - u).square().sum(dim=1) / torch.where(varies, spread, torch.nan)
