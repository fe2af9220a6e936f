"""The Wiener filter of images with a pattern planted in them, for every strength, without decomposing again.

    S' = S + c (a w^T + w a^T) + c^2 s^2 w w^T = S + B C(c) B^T,   B = [w a],  C(c) = [[c^2 s^2, c], [c, 0]]
    W' = W + sigma^2 V M(c) V^T,   V = A B,  A = (S + sigma^2 I)^-1,  M(c) = C (I + B^T V C)^-1

(Woodbury.) Row q of W' is row q of W plus a combination of the two columns of V whose two weights alone
depend on the strength c. With a = 0 and s = 1, the expectation over strengths, it is one column and the
factor sigma^2 c^2 / (1 + c^2 w.v) times v_q. The images' own covariance with their strengths, a, makes it exact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from locality.errors import BadInput
from locality.linear.spectrum import power_spectrum
from locality.linear.wiener import WienerFilter
from locality.schedule import check_sigma
from locality.types import ImageShape


@dataclass(frozen=True, eq=False)
class Planted:
    """The filter of x0' = x0 + c z w, from that of x0.

    Args:
        base: filter of the images without the pattern.
        pattern: w [d], float64.
        coupling: a = cov(x0, z) [d] over the training images, float64; zeros for the expectation.
        variance: s^2 = var z over the training images; 1 for the expectation.
    """

    base: WienerFilter
    pattern: Float64[Tensor, " d"]
    coupling: Float64[Tensor, " d"]
    variance: float

    def rows(self, coords: Int[Tensor, " p"], sigma: float, strength: float) -> Float[Tensor, "p d"]:
        """Rows of W' at a strength c, float32: O(d^2) for the first of a noise level, then O(p d^2) for W alone.

        Raises:
            BadInput: sigma is not a noise level, or the covariance is not one (see `weights`).
        """
        columns, gram = self.columns(sigma)
        weights = self.weights(gram, strength) * check_sigma(sigma) ** 2
        change = columns[:, coords].T @ weights @ columns
        return (self.base.rows(coords, sigma).double() + change).float()

    def fields(
        self, before: Float[Tensor, "p hw"], own: Int[Tensor, " p"], sigma: float, strength: float
    ) -> Float[Tensor, "p hw"]:
        """Fields summed over channels, of pixels number `own`: from those `before` the pattern, O(p h w).

        Raises as `rows`.
        """
        columns, gram = self.columns(sigma)
        weights = self.weights(gram, strength) * check_sigma(sigma) ** 2
        summed = columns.reshape(2, self.base.shape.c, -1).sum(dim=1)
        return (before.double() + summed[:, own].T @ weights @ summed).float()

    def at(self, strength: float) -> PlantedAt:
        """The filter at one strength."""
        return PlantedAt(self, strength)

    def columns(self, sigma: float) -> tuple[Float64[Tensor, "2 d"], Float64[Tensor, "2 2"]]:
        """V^T = [A w, A a] and B^T V; they depend on the noise level alone, and the last few are kept."""
        return self._kept_columns(sigma)

    @cached_property
    def _kept_columns(self) -> Callable[[float], tuple[Float64[Tensor, "2 d"], Float64[Tensor, "2 2"]]]:
        return lru_cache(maxsize=4)(self._columns)

    def _columns(self, sigma: float) -> tuple[Float64[Tensor, "2 d"], Float64[Tensor, "2 2"]]:
        noise = check_sigma(sigma) ** 2
        whole = len(self.base.eigvals) == self.base.shape.d
        outside = 0.0 if whole else 1.0 / (self.base.rest + noise)
        scaled = self.spectra * (1.0 / (self.base.eigvals + noise) - outside)
        columns = (self.base.eigvecs @ scaled.to(self.base.eigvecs).T).T.double() + outside * self._both
        return columns, self.spectra @ scaled.T + outside * self._both @ self._both.T

    def weights(self, gram: Float64[Tensor, "2 2"], strength: float) -> Float64[Tensor, "2 2"]:
        """M(c) = C (I + B^T V C)^-1, symmetric.

        Raises:
            BadInput: S' + sigma^2 I is singular, which statistics of images never make it.
        """
        c = strength
        inner = torch.tensor([[c * c * self.variance, c], [c, 0.0]], dtype=torch.float64)
        system = torch.eye(2, dtype=torch.float64) + gram @ inner
        if float(torch.linalg.det(system)) <= 0.0:
            raise BadInput(
                f"A pattern of strength {c:g} with this coupling leaves no covariance: it is not of these images."
            )
        found: Float64[Tensor, "2 2"] = inner @ torch.linalg.inv(system)
        return found

    def power_spectrum(self, strength: float) -> Float64[Tensor, "h w"]:
        """P'(k) of the edited images, averaged over channels, as `locality.linear.spectrum.power_spectrum`."""
        return power_spectrum(self.base) + self.power_change(strength)

    def power_change(self, strength: float) -> Float64[Tensor, "h w"]:
        """P' - P = 2 c Re(F a conj(F w)) + c^2 s^2 |F w|^2, mean over channels; F the unitary Fourier transform."""
        shape = self.base.shape
        w, a = (torch.fft.fft2(part.reshape(shape), norm="ortho") for part in (self.pattern, self.coupling))
        change = 2 * strength * (a * w.conj()).real + strength**2 * self.variance * w.abs().square()
        found: Float64[Tensor, "h w"] = change.mean(dim=0)
        return found

    def variance_along(self, strength: float) -> float:
        """Variance of the edited images along the pattern, w^T S' w / |w|^2, in [-1, 1] units squared."""
        w, c = self.pattern, strength
        inside = float((self.spectra[0].square() * (self.base.eigvals - self.base.rest)).sum() / (w @ w))
        own = inside + self.base.rest
        return own + 2 * c * float(self.coupling @ w) + c * c * self.variance * float(w @ w)

    @cached_property
    def spectra(self) -> Float64[Tensor, "2 k"]:
        """B^T U: pattern and coupling in the eigenbasis."""
        return (self.base.eigvecs.T @ self._both.to(self.base.eigvecs).T).T.double()

    @property
    def _both(self) -> Float64[Tensor, "2 d"]:
        return torch.stack([self.pattern, self.coupling])


@dataclass(frozen=True, eq=False)
class PlantedAt:
    """The filter of x0 + c z w at one strength c, as far as fields need it: the shape of the images and rows of W'."""

    family: Planted
    strength: float

    @property
    def shape(self) -> ImageShape:
        return self.family.base.shape

    def rows(self, coords: Int[Tensor, " p"], sigma: float) -> Float[Tensor, "p d"]:
        """Rows of W'. Raises as `Planted.rows`."""
        return self.family.rows(coords, sigma, self.strength)
