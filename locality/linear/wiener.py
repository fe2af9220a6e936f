"""The Wiener filter: the best affine denoiser, and the field it predicts for every pixel.

    W(sigma) = S (S + sigma^2 I)^-1 = U diag(g) U^T + g_rest (I - U U^T),   g_k = lambda_k / (lambda_k + sigma^2)

S is the covariance of the images, decomposed once; any noise level costs a product, no solve. U has as many
columns as S has directions with variance of their own; outside of them S is one number, `rest`: exactly zero
where there are fewer images than coordinates.
Source: Lukoianov et al. 2025 (arXiv 2509.09672); Wiener 1949.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from locality.errors import BadInput, NonFinite
from locality.linear.finite import effective_noise
from locality.linear.moments import Moments
from locality.schedule import check_sigma
from locality.types import ImageShape, Pixel

_ROUNDING = 1e-13  # variance below this share of the largest is rounding of float64 sums
BLOCK = 256  # rows of W, and products of a sum, at a time


@dataclass(frozen=True)
class RowError:
    """How far the rows of an approximate filter may be from the exact ones, for noise levels from `sigma` on.

    Largest difference over the largest value of the row: `field` of rows summed over channels of the clicked pixel
    and of the image, as fields are drawn; `row` of single rows. `about` says how it is known.
    """

    sigma: float
    field: float
    row: float
    about: str

    def __str__(self) -> str:
        if self.field >= 1.0:  # as large as the fields themselves: nothing
            return f"the error of fields is not bounded ({self.about})"
        return (
            f"fields are within {self.field:.2g} and single rows within {self.row:.2g} of their largest value for "
            f"sigma >= {self.sigma:g} ({self.about})"
        )


@dataclass(frozen=True, eq=False)
class WienerFilter:
    """Eigendecomposition of a covariance and everything linear that follows from it.

    `eigvals` [k] float64, descending, >= 0; `eigvecs` [d, k] float32 with one eigenvector per column, k <= d;
    `rest`: variance of every direction outside of them, in [-1, 1] units squared. `error` says how far rows may
    be from those of the exact decomposition, None where this is it. `finite`: kappa(sigma^2) stands for sigma^2, see
    `locality.linear.finite`, found from the `spectrum`, eigenvalues on the CPU, where the others are elsewhere.
    Memory: 4 d k bytes.
    """

    shape: ImageShape
    count: int
    mean: Float[Tensor, " d"]
    eigvals: Float[Tensor, " k"]
    eigvecs: Float[Tensor, "d k"]
    rest: float = 0.0
    error: RowError | None = None
    finite: bool = False
    spectrum: Float[Tensor, " k"] | None = None

    @staticmethod
    def fit(moments: Moments, shape: ImageShape) -> WienerFilter:
        """Decompose a covariance in float64; negative rounding residues become 0.

        Raises:
            BadInput: fewer than two images.
            NonFinite: the covariance is not finite.
        """
        cov = moments.cov()
        if not bool(cov.isfinite().all()):
            raise NonFinite("The covariance is not finite. The images hold NaN, infinity or huge values.")
        return WienerFilter(shape, moments.count, moments.mean(), *decompose(cov))

    def on(self, device: torch.device) -> WienerFilter:
        """The same on a device."""
        if self.eigvecs.device == device:
            return self
        there = {name: getattr(self, name).to(device) for name in ("mean", "eigvals", "eigvecs")}
        return replace(self, **there, spectrum=self.eigvals if self.spectrum is None else self.spectrum)

    @property
    def trace(self) -> float:
        """Total variance of an image, in [-1, 1] units squared."""
        return float(self.eigvals.sum()) + self.rest * self._outside

    def gain(self, sigma: float) -> Float[Tensor, " k"]:
        """Fraction of each principal component that survives: lambda / (lambda + sigma^2).

        Dimensionless, in [0, 1], same order as `eigvals`, float64.

        Raises:
            BadInput: sigma is not a noise level.
        """
        return self.eigvals / (self.eigvals + self._noise(sigma))

    def rows(self, coords: Int[Tensor, " p"], sigma: float) -> Float[Tensor, "p d"]:
        """Rows of W: how the estimate of each coordinate weighs every input coordinate; float32."""
        return self._rows(coords, self.gain(sigma), self.rest_gain(sigma))

    def projection_rows(self, coords: Int[Tensor, " p"], sigma: float) -> Float[Tensor, "p d"]:
        """Rows of the projection on components above the noise, lambda_k > sigma^2: a rough proxy of W."""
        noise = check_sigma(sigma) ** 2
        return self._rows(coords, (self.eigvals > noise).double(), float(self.rest > noise))

    def matrix(self, sigma: float) -> Float[Tensor, "d d"]:
        """W in full; float32, symmetric to the last bit: the half on one side of the diagonal is computed.

        Off by at most `locality.linear.exact.rounding` sqrt(W_qq W_pp).
        """
        rest, (d, k) = self.rest_gain(sigma), self.eigvecs.shape
        gain = (self.gain(sigma) - rest).float()
        found = self.eigvecs.new_empty(d, d)
        for start in range(0, d, BLOCK):
            rows, below = slice(start, start + BLOCK), slice(start + BLOCK, d)
            left, block = self.eigvecs[rows] * gain, found[rows, start:]
            block.zero_()
            for part in range(0, k, BLOCK):  # short sums of short sums: their rounding is bounded
                some = slice(part, part + BLOCK)
                block.addmm_(left[:, some], self.eigvecs[start:, some].T)
            found[below, rows] = found[rows, below].T
            found[rows, rows] = found[rows, rows].triu() + found[rows, rows].triu(1).T
        found.diagonal().add_(rest)
        return found

    def pixel_matrix(self, sigma: float, places: Int[Tensor, " p"] | None = None) -> Float[Tensor, "p hw"]:
        """W summed over output and input channels: one row per pixel, of all or those at `places`; float32."""
        hw = self.shape.h * self.shape.w
        summed = self.eigvecs.reshape(self.shape.c, hw, -1).sum(dim=0)
        places = torch.arange(hw) if places is None else places
        rest = self.rest_gain(sigma)
        found = (summed[places] * (self.gain(sigma) - rest).float()) @ summed.T
        found[torch.arange(len(places)), places] += rest * self.shape.c
        return found

    def __call__(self, x: Float[Tensor, "b d"], sigma: float) -> Float[Tensor, "b d"]:
        """Best affine estimate mu + W (x - mu); differentiable in x.

        Raises:
            BadInput: images of another size, or sigma is not a noise level.
            NonFinite: x holds NaN or infinity.
        """
        self.shape.check(x)
        basis, mean = self.eigvecs.to(x), self.mean.to(x)
        rest, away = self.rest_gain(sigma), x - mean
        inside = (away @ basis * (self.gain(sigma) - rest).to(x)) @ basis.T
        return mean + inside + rest * away if rest else mean + inside

    def expected_error(self, sigma: float) -> float:
        """Mean squared error summed over coordinates, sigma^2 tr W, in [-1, 1] units squared."""
        return check_sigma(sigma) ** 2 * (float(self.gain(sigma).sum()) + self.rest_gain(sigma) * self._outside)

    def above_noise(self, sigma: float) -> int:
        """Number of principal components with variance above sigma^2."""
        noise = check_sigma(sigma) ** 2
        return int((self.eigvals > noise).sum()) + (self._outside if self.rest > noise else 0)

    def sample(self, count: int, generator: torch.Generator) -> Float[Tensor, "n d"]:
        """Draws of N(mean, covariance): images with these statistics and nothing else."""
        white = torch.randn(count, len(self.eigvals), generator=generator)
        draws = self.mean.float() + (white * self.eigvals.sqrt().float()) @ self.eigvecs.T
        if not self.rest:
            return draws
        other = torch.randn(count, self.shape.d, generator=generator)
        return draws + math.sqrt(self.rest) * (other - other @ self.eigvecs @ self.eigvecs.T)

    @property
    def _outside(self) -> int:
        """Directions that share the variance `rest`."""
        return self.shape.d - len(self.eigvals)

    def rest_gain(self, sigma: float) -> float:
        """That of every direction outside of the basis."""
        return self.rest / (self.rest + self._noise(sigma))

    def _noise(self, sigma: float) -> float:
        """What stands for sigma^2 in the filter."""
        noise = check_sigma(sigma) ** 2
        if not self.finite:
            return noise
        rest, count = (torch.tensor([value], dtype=torch.float64) for value in (self.rest, self.count))
        eigvals = self.eigvals if self.spectrum is None else self.spectrum
        return float(effective_noise(eigvals[None], rest, self._outside, count, noise))

    def _rows(self, coords: Int[Tensor, " p"], weights: Float[Tensor, " k"], rest: float) -> Float[Tensor, "p d"]:
        # With the large matrix on the left it is read once in its own order: 2.5 times the other way round.
        found = (self.eigvecs @ (self.eigvecs[coords] * (weights - rest).to(self.eigvecs)).T).T.contiguous()
        if rest:
            found[torch.arange(len(coords)), coords] += rest
        return found


def decompose(cov: Float[Tensor, "d d"]) -> tuple[Float[Tensor, " d"], Float[Tensor, "d d"]]:
    """Eigenvalues, descending, and eigenvectors.

    Coordinates that never vary are set apart with eigenvalue 0, so that their rows of W are exactly
    zero: rounding there would be drawn as a field.
    """
    variance = cov.diagonal()
    varies = variance > _ROUNDING * variance.max()
    everywhere = bool(varies.all())
    eigvals, eigvecs = torch.linalg.eigh(cov if everywhere else cov[varies][:, varies])
    eigvals, eigvecs = eigvals.flip(0).clamp(min=0.0), eigvecs.flip(1).float()
    if everywhere:
        return eigvals, eigvecs.contiguous()
    rank = len(eigvals)
    whole = torch.zeros(cov.shape, device=cov.device)
    whole[varies, :rank] = eigvecs
    whole[~varies, rank:] = torch.eye(len(cov) - rank, device=cov.device)
    return torch.cat([eigvals, eigvals.new_zeros(len(cov) - rank)]), whole


def coordinates(shape: ImageShape, pixel: Pixel) -> Int[Tensor, " c"]:
    """The flat coordinates of a pixel, one per channel.

    Raises:
        BadInput: the pixel is outside the image.
    """
    row, col = pixel
    if not (0 <= row < shape.h and 0 <= col < shape.w):
        allowed = f"rows 0..{shape.h - 1}, columns 0..{shape.w - 1}"
        raise BadInput(f"Pixel {row},{col} is outside the {shape.h}x{shape.w} image: {allowed}.")
    return torch.arange(shape.c) * shape.h * shape.w + row * shape.w + col
