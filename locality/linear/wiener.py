"""The Wiener filter: the best affine denoiser, and the field it predicts for every pixel.

    W(sigma) = S (S + sigma^2 I)^-1 = U diag(g) U^T,   g_k = lambda_k / (lambda_k + sigma^2)

S is the covariance of the images, decomposed once; any noise level costs a product, no solve.
Source: Lukoianov et al. 2025 (arXiv 2509.09672); Wiener 1949.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from locality.errors import BadInput, NonFinite
from locality.linear.moments import Moments
from locality.schedule import check_sigma
from locality.store import Artifact
from locality.types import ImageShape, Pixel

_ROUNDING = 1e-13  # variance below this share of the largest is rounding of float64 sums
_LEVELS = 32_767  # of the int16 code of an eigenvector; one scale per column


@dataclass(frozen=True, eq=False)
class WienerFilter:
    """Eigendecomposition of a covariance and everything linear that follows from it.

    `eigvals` [d] float64, descending, >= 0; `eigvecs` [d, d] float32 with one eigenvector per
    column. Memory: 4 d^2 bytes.
    """

    shape: ImageShape
    count: int
    mean: Float[Tensor, " d"]
    eigvals: Float[Tensor, " d"]
    eigvecs: Float[Tensor, "d d"]

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

    def gain(self, sigma: float) -> Float[Tensor, " d"]:
        """Fraction of each principal component that survives: lambda / (lambda + sigma^2).

        Dimensionless, in [0, 1], same order as `eigvals`, float64.

        Raises:
            BadInput: sigma is not a noise level.
        """
        return self.eigvals / (self.eigvals + check_sigma(sigma) ** 2)

    def rows(self, coords: Int[Tensor, " p"], sigma: float) -> Float[Tensor, "p d"]:
        """Rows of W: how the estimate of each coordinate weighs every input coordinate; float32."""
        return self._rows(coords, self.gain(sigma))

    def projection_rows(self, coords: Int[Tensor, " p"], sigma: float) -> Float[Tensor, "p d"]:
        """Rows of the projection on components above the noise, lambda_k > sigma^2: a rough proxy of W."""
        return self._rows(coords, (self.eigvals > check_sigma(sigma) ** 2).double())

    def matrix(self, sigma: float) -> Float[Tensor, "d d"]:
        """W in full; float32."""
        return (self.eigvecs * self.gain(sigma).float()) @ self.eigvecs.T

    def pixel_matrix(self, sigma: float) -> Float[Tensor, "hw hw"]:
        """W summed over output and input channels: one row per pixel; float32."""
        hw = self.shape.h * self.shape.w
        summed = self.eigvecs.reshape(self.shape.c, hw, -1).sum(dim=0)
        return (summed * self.gain(sigma).float()) @ summed.T

    def __call__(self, x: Float[Tensor, "b d"], sigma: float) -> Float[Tensor, "b d"]:
        """Best affine estimate mu + W (x - mu); differentiable in x.

        Raises:
            BadInput: images of another size, or sigma is not a noise level.
            NonFinite: x holds NaN or infinity.
        """
        self.shape.check(x)
        basis, mean = self.eigvecs.to(x), self.mean.to(x)
        return mean + ((x - mean) @ basis * self.gain(sigma).to(x)) @ basis.T

    def expected_error(self, sigma: float) -> float:
        """Mean squared error summed over coordinates, sigma^2 tr W, in [-1, 1] units squared."""
        return check_sigma(sigma) ** 2 * float(self.gain(sigma).sum())

    def above_noise(self, sigma: float) -> int:
        """Number of principal components with variance above sigma^2."""
        return int((self.eigvals > check_sigma(sigma) ** 2).sum())

    def sample(self, count: int, generator: torch.Generator) -> Float[Tensor, "n d"]:
        """Draws of N(mean, covariance): images with these statistics and nothing else."""
        white = torch.randn(count, len(self.eigvals), generator=generator)
        return self.mean.float() + (white * self.eigvals.sqrt().float()) @ self.eigvecs.T

    def _rows(self, coords: Int[Tensor, " p"], weights: Float[Tensor, " d"]) -> Float[Tensor, "p d"]:
        # With the large matrix on the left it is read once in its own order: 2.5 times the other way round.
        return (self.eigvecs @ (self.eigvecs[coords] * weights.to(self.eigvecs)).T).T.contiguous()


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


def pack(wiener: WienerFilter, *, compact: bool) -> Artifact:
    """A filter as an artefact; `compact` codes eigenvectors as int16 with one scale per column."""
    arrays: dict[str, Shaped[Tensor, "..."]] = {"mean": wiener.mean, "eigvals": wiener.eigvals}
    if compact:
        scale = wiener.eigvecs.abs().amax(dim=0) / _LEVELS
        arrays |= {"scale": scale, "eigvecs": (wiener.eigvecs / scale).round().short()}
    else:
        arrays["eigvecs"] = wiener.eigvecs
    return Artifact(arrays, {"shape": list(wiener.shape), "count": wiener.count})


def unpack(artifact: Artifact) -> WienerFilter:
    """The filter of an artefact made by `pack`."""
    arrays, meta = artifact.arrays, artifact.meta
    eigvecs = arrays["eigvecs"].float()
    if "scale" in arrays:
        eigvecs *= arrays["scale"]
    shape: Any = meta["shape"]
    return WienerFilter(ImageShape(*shape), int(meta["count"]), arrays["mean"], arrays["eigvals"], eigvecs)
