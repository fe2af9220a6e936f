"""A mixture of Gaussians of low rank: components within one subspace, one variance each outside of it.

    u = m + B z + rest,   z | k ~ N(m_k, C_k),   rest | k ~ N(0, s_k (I - B B^T))

B [m, q] holds the leading principal directions of all points, which every component shares: a point is projected
once, and a component costs q^2 in place of m^2. The exact posterior mean where the points come from the mixture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from locality.denoisers.parts.mixture import Mixture
from locality.schedule import check_sigma

_LEAST_VARIANCE = 1e-12  # of a pixel that is known for certain: weights stay finite
_CHUNK = 2**24  # entries of the rotated basis at a time


class Posterior(NamedTuple):
    """Mean of every row, and the variance of every coordinate within the components; None where not asked for."""

    mean: Float[Tensor, "n m"]
    variance: Float[Tensor, "n m"] | None


@dataclass(frozen=True, eq=False)
class SubspaceMixture:
    """K Gaussians in m dimensions of rank q + isotropic; memory 4 (m q + K q^2) bytes.

    `mean` [m] and `rests` [k] (variance of each direction outside, >= 0) float64, `basis` [m, q] float32 with
    orthonormal columns; `inner` lives in the coordinates z.
    """

    mean: Float[Tensor, " m"]
    basis: Float[Tensor, "m q"]
    rests: Float[Tensor, " k"]
    inner: Mixture

    def on(self, device: torch.device) -> SubspaceMixture:
        """The same on a device."""
        if self.basis.device == device:
            return self
        mean, basis, rests = (part.to(device) for part in (self.mean, self.basis, self.rests))
        return SubspaceMixture(mean, basis, rests, self.inner.on(device))

    def posterior(self, u: Float[Tensor, "n m"], sigma: float, *, variance: bool = False) -> Posterior:
        """Posterior mean of every row, differentiable, and on request its variances.

        Raises:
            BadInput: sigma is not a noise level.
        """
        noise = check_sigma(sigma) ** 2
        away, basis = u - self.mean.to(u), self.basis.to(u)
        z = away @ basis
        outside = away - z @ basis.T
        shares = self._logits(z, outside, noise).softmax(dim=1).to(u.dtype)
        rest = (self.rests / (self.rests + noise)).to(u)
        mean = self.mean.to(u) + self.inner.combine(z, shares, sigma) @ basis.T + (shares @ rest)[:, None] * outside
        return Posterior(mean, shares @ self.variances(sigma).to(u) if variance else None)

    def variances(self, sigma: float) -> Float[Tensor, "k m"]:
        """Posterior variance of every coordinate given the component, sigma^2 diag(C_k (C_k + sigma^2 I)^-1)."""
        noise = check_sigma(sigma) ** 2
        gains = self.inner.eigvals / (self.inner.eigvals + noise)
        found = torch.empty(len(gains), len(self.basis), device=self.basis.device)
        at_once = max(1, _CHUNK // self.basis.numel())
        for bases, gain, into in zip(
            *(part.split(at_once) for part in (self.inner.eigvecs, gains, found)), strict=True
        ):
            into.copy_(((self.basis @ bases).square_() @ gain.float()[:, :, None]).squeeze(2))
        beyond = (1.0 - self.basis.square().sum(dim=1)).clamp(min=0.0)
        rest = (self.rests / (self.rests + noise)).float()
        return (noise * (found + rest[:, None] * beyond)).clamp_(min=_LEAST_VARIANCE)

    def _logits(self, z: Float[Tensor, "n q"], outside: Float[Tensor, "n m"], noise: float) -> Float[Tensor, "n k"]:
        logits = self.inner.logits(z, noise)
        count = self.basis.shape[0] - self.basis.shape[1]
        if not count:
            return logits
        noisy = self.rests + noise
        size = torch.linalg.vector_norm(outside, dim=1, dtype=torch.float64).square()
        found: Tensor = logits - 0.5 * (size[:, None] / noisy + count * noisy.log())
        return found
