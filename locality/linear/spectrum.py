"""Power spectrum of images from their covariance, and the power law 1 / k^a that fits it.

    P(k) = e_k^* S e_k,   e_k = exp(2 pi i k . p) / sqrt(h w)

Everything is computed from the eigendecomposition, so it works where the images are not at hand.
P(k) is the mean over images of |F(x - mean)(k)|^2 / (h w): the variance of one Fourier component, the
eigenvalue of S where S is periodic and stationary.
Source: Field 1987 (JOSA A 4:2379); Torralba and Oliva 2003 (Network 14:391) for exponents of natural images.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor

from locality.errors import BadInput
from locality.linear.wiener import WienerFilter
from locality.schedule import check_sigma
from locality.types import ImageShape

_POWERLESS = 1e-12  # of the largest power: Fourier components below it hold rounding only, as in upsampled images
_VALUES = 2**23  # numbers transformed at a time


@dataclass(frozen=True, eq=False)
class Rings:
    """A power spectrum averaged over rings of frequencies one cycle wide, from 0 to the corner.

    `frequency` and `typical` are geometric means over the ring, so that a power law stays one exactly;
    `power` is the plain mean: the sum of power * count is the variance of an image, per channel.
    Frequencies in cycles per image (its longer side), powers in [-1, 1] units squared.
    """

    frequency: Float64[Tensor, " r"]
    power: Float64[Tensor, " r"]
    typical: Float64[Tensor, " r"]
    count: Float64[Tensor, " r"]


@dataclass(frozen=True)
class PowerLawFit:
    """P = amplitude / frequency^exponent, fitted on `rings` rings between two frequencies, both included.

    `error` is the standard error of the exponent from the scatter of the rings about the line: how far
    the spectrum is from a power law, not how few images there were.
    """

    exponent: float
    error: float
    amplitude: float
    low: float
    high: float
    rings: int

    def __call__(self, frequency: Float64[Tensor, " r"]) -> Float64[Tensor, " r"]:
        """The fitted power at frequencies in cycles per image, in [-1, 1] units squared."""
        return self.amplitude * frequency.pow(-self.exponent)


def share_above(wiener: WienerFilter, sigma: float) -> float:
    """Share of the total variance in components above the noise, lambda_k > sigma^2; in [0, 1].

    Raises:
        BadInput: sigma is not positive and finite.
    """
    noise = check_sigma(sigma) ** 2
    inside = float(wiener.eigvals.sum())
    above = float(wiener.eigvals[wiener.eigvals > noise].sum()) + (
        wiener.trace - inside if wiener.rest > noise else 0.0
    )
    return above / wiener.trace if wiener.trace > 0 else 0.0


def power_spectrum(wiener: WienerFilter) -> Float64[Tensor, "h w"]:
    """P(k) averaged over channels, in FFT order, in [-1, 1] units squared.

        P(k) = 1/c sum_j lambda_j |F u_j(k)|^2,   F unitary

    The sum over k is trace(S) / c (Parseval).
    """
    c, h, w = wiener.shape
    power = torch.zeros(h, w, dtype=torch.float64)
    for part in batches(wiener, c * h * w):
        images = wiener.eigvecs[:, part].T.reshape(-1, c, h, w)
        squared = torch.fft.fft2(images, norm="ortho").abs().square().sum(dim=1).double()
        power += torch.einsum("n,nhw->hw", wiener.eigvals[part].double() - wiener.rest, squared)
    return power / c + wiener.rest


def frequencies(shape: ImageShape) -> Float64[Tensor, "h w"]:
    """|k| of every Fourier component in FFT order, in cycles per image (its longer side)."""
    side = max(shape.h, shape.w)
    rows, cols = (torch.fft.fftfreq(n, dtype=torch.float64) * side for n in (shape.h, shape.w))
    return torch.hypot(rows[:, None], cols[None, :])


def nyquist(shape: ImageShape) -> int:
    """Highest whole frequency that all directions reach, in cycles per image: half its longer side."""
    return max(shape.h, shape.w) // 2


def ring_average(power: Float64[Tensor, "h w"], shape: ImageShape) -> Rings:
    """Averages over rings of width one: frequencies that round to 0, 1, 2, ... cycles per image."""
    k = frequencies(shape).flatten()
    ring = k.round().long()
    count = torch.bincount(ring).double()
    flat = power.flatten()

    def mean(values: Float64[Tensor, " k"]) -> Float64[Tensor, " r"]:
        return torch.bincount(ring, weights=values) / count

    present = count > 0
    found = (mean(k.log()).exp(), mean(flat), mean(flat.clamp(min=0).log()).exp(), count)
    return Rings(*(values[present] for values in found))


def fit_power_law(rings: Rings, low: float, high: float) -> PowerLawFit:
    """Least squares line through log power against log frequency, every ring with the same weight.

    Raises:
        BadInput: the range holds fewer than three rings with power.
    """
    whole = rings.frequency.round()
    used = (whole >= max(low, 1)) & (whole <= high) & (rings.typical > _POWERLESS * rings.power.max())
    n = int(used.sum())
    if n < 3:
        raise BadInput(
            f"A power law needs at least three frequencies with power; {low:g} to {high:g} cycles per image has {n}. "
            "Take a wider range, or larger images."
        )
    x, y = rings.frequency[used].log(), rings.typical[used].log()
    dx, dy = x - x.mean(), y - y.mean()
    slope = float((dx @ dy) / (dx @ dx))
    rest = dy - slope * dx
    error = math.sqrt(float(rest @ rest) / (n - 2) / float(dx @ dx))
    return PowerLawFit(-slope, error, math.exp(float(y.mean()) - slope * float(x.mean())), low, high, n)


def exponents_of_halves(rings: Rings, low: float, high: float) -> tuple[float, float] | None:
    """The exponents of the lower and the upper half of a range in ln frequency: alike where it is one power law.

    What the range does to the exponent is no part of the fit's error. None where a half has fewer than three rings.
    """
    middle = math.sqrt(max(low, 1) * high)
    try:
        return fit_power_law(rings, low, middle).exponent, fit_power_law(rings, middle, high).exponent
    except BadInput:
        return None


def batches(wiener: WienerFilter, size: int) -> list[slice]:
    """Slices over the components that hold variance: at `size` numbers each, a slice bounds the memory."""
    used, step = int((wiener.eigvals != wiener.rest).sum()), max(1, _VALUES // size)
    return [slice(start, min(start + step, used)) for start in range(0, used, step)]
