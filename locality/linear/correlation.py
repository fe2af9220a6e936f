"""How correlated two pixels are at a distance: the correlation function, from the covariance of the images.

    rho(s) = mean_p  S[p, p + s] / sqrt(S[p, p] S[p + s, p + s])

Computed from the eigendecomposition, so it works where the images are not at hand.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from locality.linear.spectrum import batches
from locality.linear.wiener import WienerFilter

_CONSTANT = 1e-6  # of the largest variance: pixels below it count as constant, their correlation is rounding


@dataclass(frozen=True, eq=False)
class Correlation:
    """Mean correlation of two pixels of one channel against their displacement.

    `value` and `pairs` are indexed by displacement, zero in the middle; `pairs` counts the pairs averaged
    over, all channels together. Where there is none, `value` is 0 and means nothing. `constant` counts
    the coordinates left out because they do not vary.
    """

    value: Float64[Tensor, "Y X"]
    pairs: Float64[Tensor, "Y X"]
    constant: int


@dataclass(frozen=True, eq=False)
class RadialCorrelation:
    """Mean correlation over all pairs of pixels whose distance rounds to the same whole number.

    `distance` is their mean distance, in pixels, ascending from 0.
    """

    distance: Float64[Tensor, " r"]
    value: Float64[Tensor, " r"]
    pairs: Float64[Tensor, " r"]

    def reach(self, level: float) -> float | None:
        """Shortest distance in pixels at which the correlation falls to `level`, None if it never does."""
        below = (self.value <= level).nonzero().flatten()
        if not len(below) or int(below[0]) == 0:
            return None
        i = int(below[0])
        (x0, x1), (y0, y1) = self.distance[i - 1 : i + 1].tolist(), self.value[i - 1 : i + 1].tolist()
        return float(x0 + (y0 - level) / (y0 - y1) * (x1 - x0))


def pixel_variance(wiener: WienerFilter) -> Float64[Tensor, " d"]:
    """Diagonal of the covariance, in [-1, 1] units squared."""
    return (wiener.eigvecs.square() @ (wiener.eigvals - wiener.rest).to(wiener.eigvecs)).double() + wiener.rest


def correlation_function(wiener: WienerFilter) -> Correlation:
    """Correlation of pixels p and p + s, averaged over all positions p of both, for every displacement s.

    Not periodic: pairs lie inside the image. Colour images: pairs within a channel, averaged over channels.
    """
    c, h, w = wiener.shape
    variance = pixel_variance(wiener)
    varies = variance > _CONSTANT * variance.max()
    scale = torch.where(varies, variance, 1.0).rsqrt() * varies
    total = torch.zeros(2 * h - 1, 2 * w - 1, dtype=torch.float64)
    for part in batches(wiener, 4 * c * h * w):
        white = (wiener.eigvecs[:, part] * scale.float()[:, None]).T.reshape(-1, c, h, w)
        total += _autocorrelation(white, wiener.eigvals[part].double() - wiener.rest)
    total[h - 1, w - 1] += wiener.rest * float(scale.square().sum())
    pairs = _pairs(varies.reshape(c, h, w))
    value = torch.where(pairs > 0, total / pairs.clamp(min=1), 0.0).clamp(-1, 1)
    return Correlation(value, pairs, int((~varies).sum()))


def radial_correlation(correlation: Correlation) -> RadialCorrelation:
    """The correlation function against distance; rings without pairs are left out."""
    rows, cols = (torch.arange(n, dtype=torch.float64) - n // 2 for n in correlation.value.shape)
    distance = torch.hypot(rows[:, None], cols[None, :]).flatten()
    ring, weight = distance.round().long(), correlation.pairs.flatten()
    pairs = torch.bincount(ring, weights=weight)
    present = pairs > 0
    means = (torch.bincount(ring, weights=weight * v) for v in (distance, correlation.value.flatten()))
    mean_distance, value = (total[present] / pairs[present] for total in means)
    return RadialCorrelation(mean_distance, value, pairs[present])


def _pairs(varies: Bool[Tensor, "c h w"]) -> Float64[Tensor, "Y X"]:
    return _autocorrelation(varies.double()[None], torch.ones(1, dtype=torch.float64)).round()


def _autocorrelation(images: Float[Tensor, "n c h w"], weight: Float64[Tensor, " n"]) -> Float64[Tensor, "Y X"]:
    """sum_n weight_n sum_p x_n(p) x_n(p + s), summed over channels, padded so that nothing wraps round."""
    h, w = images.shape[-2:]
    power = torch.fft.rfft2(images, s=(2 * h, 2 * w)).abs().square().sum(dim=1).double()
    wrapped = torch.fft.irfft2(torch.einsum("n,nhw->hw", weight, power), s=(2 * h, 2 * w))
    return torch.roll(wrapped, (h - 1, w - 1), dims=(0, 1))[: 2 * h - 1, : 2 * w - 1]
