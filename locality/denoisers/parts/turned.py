"""Averages over whole images at all their places on the torus."""

from __future__ import annotations

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from locality.denoisers.parts.bank import Bank
from locality.denoisers.parts.shards import merged
from locality.posterior import PosteriorMean, stream

_IMAGES = 256  # of one transform at most


def turned_posterior(bank: Bank, x: Float[Tensor, "b d"], sigma: float) -> PosteriorMean:
    """The average of all images turned by all shifts, as images [b d], float64.

    The distance to an image turned by s is a correlation at s, and so is the average over s of the turned images:
    O(N h w c log(h w)) a noisy image, where one shift after another takes N (h w)^2 c.
    """
    c, h, w = bank.shape
    scale = 1.0 / sigma**2

    def partial(queries: Float[Tensor, "b d"], items: Float[Tensor, "k d"]) -> PosteriorMean:
        theirs = torch.fft.rfft2(items.reshape(-1, c, h, w))
        own = items.square().sum(dim=1)[:, None] * (-0.5 * scale)
        each = []
        for query in queries:
            ours = torch.fft.rfft2(query.reshape(c, h, w)).conj()
            alike = torch.fft.irfft2((ours * theirs).sum(dim=1), s=(h, w)).flatten(1)
            logits = own - 0.5 * scale * query.square().sum() + scale * alike
            each.append(PosteriorMean.of(logits.flatten(), lambda e: turned(e.reshape(-1, h, w), theirs)))
        peak, weight, total = PosteriorMean.stacked(each)
        peak, weight = (part[:, None, None].expand(-1, h, w) for part in (peak, weight))
        return PosteriorMean(peak, weight, total)

    def turned(weights: Float[Tensor, "k h w"], theirs: Complex[Tensor, "k c h f"]) -> Float[Tensor, "c h w"]:
        found: Tensor = torch.fft.irfft2((torch.fft.rfft2(weights).conj()[:, None] * theirs).sum(dim=0), s=(h, w))
        return found

    def average(bank: Bank, x: Float[Tensor, "b d"]) -> PosteriorMean:
        k = bank.fit(8 * (6 * bank.shape.d + 8 * h * w), most=_IMAGES)
        return stream(x, bank.chunks(k, torch.float64), partial, bank.count(k))

    return merged(bank, x.double(), average).flat()
