"""Spectrum: whiten the images, or change how their power falls with frequency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from locality.edits.parts.linear import FittedEdit, Map, filter_before, pixels
from locality.edits.parts.spec import EDITS, REMOVES_ALL, EditSpec, Stage
from locality.errors import BadInput
from locality.linear.statistics import Statistics
from locality.linear.wiener import WienerFilter
from locality.specs import param
from locality.types import ImageShape

_FLOOR = 1e-3  # of the mean eigenvalue: components below it are rounding, and would be blown up to noise


@EDITS.register("spectrum")
@dataclass(frozen=True)
class Spectrum(FittedEdit):
    """whiten: eigenvalues lambda become lambda^(1-t). tilt: the power at frequency |k| is multiplied by |k|^-t.

    Both keep the mean and the total variance.
    """

    heading: ClassVar[str] = "Spectrum"
    about: ClassVar[str] = (
        r"\text{whiten: } \lambda_k' \propto \lambda_k^{1-t} \text{ (}t = 1\text{: no correlation is left)};\qquad "
        r"\text{tilt: } P'(k) \propto P(k)\,|k|^{-t}"
    )
    main: ClassVar[str] = "how"
    symbol: ClassVar[str] = "t"
    sweep_end: ClassVar[float] = 1.0
    place: ClassVar[int] = 3
    examples: ClassVar[tuple[str, ...]] = (
        "spectrum:how=whiten",
        "spectrum:how=whiten,strength=0.5",
        "spectrum:how=tilt,strength=1.5",
    )
    dial: ClassVar[str] = "strength"
    named: ClassVar[tuple[str, ...]] = ("how", "strength")

    how: str = param("whiten", help="Operation on the spectrum.", choices=("whiten", "tilt"))
    strength: float = param(
        1.0,
        help="whiten: share t, 0 to 1. tilt: exponent t that is added; above 0 smoother images, below 0 rougher.",
        low=-4.0,
        high=4.0,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.how == "whiten" and not 0.0 <= self.strength <= 1.0:
            raise BadInput(f"spectrum:how=whiten,strength={self.strength:g}: give 0 (as it is) to 1 (white).")

    @property
    def dial_range(self) -> tuple[float, float]:
        return (0.0, 1.0) if self.how == "whiten" else super().dial_range

    def conflicts(self, earlier: EditSpec) -> str:
        return REMOVES_ALL if self.how == "whiten" and self.strength == 1.0 else ""

    def fitted(self, before: Statistics, stage: Stage) -> Map:
        if self.how == "whiten":
            return whitening(filter_before(stage), self.strength)
        return tilting(before, stage.images.shape, self.strength)


def whitening(wiener: WienerFilter, share: float) -> Map:
    """x -> U diag(f) U^T x with f_k^2 = kappa (lambda_k + floor)^-share; kappa keeps the sum of eigenvalues."""
    d, inside = wiener.shape.d, len(wiener.eigvals)
    eigvals = torch.cat([wiener.eigvals, wiener.eigvals.new_full((min(1, d - inside),), wiener.rest)])
    many = torch.ones_like(eigvals)
    many[inside:] = d - inside  # directions outside of the basis share one variance
    floor = _FLOOR * wiener.trace / d
    power = (eigvals + floor).pow(-share)
    factor = (power * (wiener.trace / (many * power * eigvals).sum())).sqrt()
    own, outside = factor[:inside], 0.0 if inside == d else float(factor[-1])

    def whiten(x: Float[Tensor, "k d"]) -> Float[Tensor, "k d"]:
        changed = (x @ wiener.eigvecs.to(x) * (own - outside).to(x)) @ wiener.eigvecs.to(x).T
        return changed + outside * x if outside else changed

    return whiten


def tilting(before: Statistics, shape: ImageShape, exponent: float) -> Map:
    """A filter on the torus: Fourier components are multiplied by A |k|^(-exponent/2), the constant one as |k| = 1."""
    fy, fx = (torch.fft.fftfreq(side, 1 / side, dtype=torch.float64) for side in (shape.h, shape.w))
    k2 = fy[:, None].square() + fx[None, :].square()
    k2[0, 0] = 1.0
    power = k2.pow(-exponent / 2)
    kept = _total_power(before.cov, shape)
    gain = (power * (kept.sum() / (power * kept).sum())).sqrt()
    return lambda x: torch.fft.ifft2(torch.fft.fft2(pixels(x, shape)) * gain.to(x)).real.to(x).flatten(1)


def _total_power(cov: Float64[Tensor, "d d"], shape: ImageShape) -> Float64[Tensor, "h w"]:
    """Variance of every Fourier component, summed over channels: sum_pq S[p, q] exp(2 pi i k (q - p)) / (h w)."""
    c, h, w = shape
    own = torch.stack([cov.reshape(c, h * w, c, h * w)[a, :, a] for a in range(c)]).sum(dim=0)
    both = torch.fft.ifft2(torch.fft.fft2(own.reshape(h, w, h, w), dim=(0, 1)), dim=(2, 3))
    found: Float64[Tensor, "h w"] = both.reshape(h * w, h * w).diagonal().real.reshape(h, w)
    return found.clamp(min=0.0)
