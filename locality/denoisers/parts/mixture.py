"""A mixture of Gaussians seen through noise: who made this point, and the Wiener answer of each.

    D(u) = sum_k r_k [m_k + C_k (C_k + sigma^2 I)^-1 (u - m_k)]
    r = softmax_k(ln pi_k - 1/2 (u - m_k)^T (C_k + sigma^2 I)^-1 (u - m_k) - 1/2 logdet(C_k + sigma^2 I))

The exact posterior mean where the points come from the mixture. Each covariance is decomposed once,
so that any noise level costs products only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from locality.schedule import check_sigma
from locality.store import Artifact

_LEVELS = 32_767  # of the int16 code of an eigenvector


@dataclass(frozen=True, eq=False)
class Mixture:
    """K Gaussians in m dimensions; memory 4 K m^2 bytes.

    `weights` [k] (sum 1), `means` and `eigvals` (>= 0) float64; `eigvecs` float32, one eigenvector
    per column.
    """

    weights: Float[Tensor, " k"]
    means: Float[Tensor, "k m"]
    eigvals: Float[Tensor, "k m"]
    eigvecs: Float[Tensor, "k m m"]

    def on(self, device: torch.device) -> Mixture:
        """The same on a device."""
        if self.eigvecs.device == device:
            return self
        return Mixture(*(getattr(self, field.name).to(device) for field in fields(self)))

    def __call__(self, u: Float[Tensor, "n m"], sigma: float) -> Float[Tensor, "n m"]:
        """Posterior mean of every row; differentiable. A component is left out where its share underflows to 0."""
        return self.combine(u, self.shares(u, sigma).to(u.dtype), sigma)

    def combine(self, u: Float[Tensor, "n m"], shares: Float[Tensor, "n k"], sigma: float) -> Float[Tensor, "n m"]:
        """The components' Wiener answers, weighted by these shares; those whose share is 0 are not computed."""
        answer = torch.zeros_like(u)
        for k, (mean, basis) in enumerate(self._components(u)):
            share = shares[:, k]
            rows = share.detach().nonzero().squeeze(1) if u.is_cpu else None  # a GPU would have to be waited for
            if rows is not None and not len(rows):
                continue
            gain = (self.eigvals[k] / (self.eigvals[k] + sigma**2)).to(u)
            if rows is None or len(rows) == len(u):  # without the copies that picking rows makes
                answer = answer + share[:, None] * (mean + ((u - mean) @ basis * gain) @ basis.T)
            else:
                part = share[rows][:, None] * (mean + ((u[rows] - mean) @ basis * gain) @ basis.T)
                answer = answer.index_add(0, rows, part)
        return answer

    def jacobian_rows(
        self, u: Float[Tensor, "n m"], outputs: Float[Tensor, "v m"], sigma: float
    ) -> Float[Tensor, "v n m"]:
        """outputs @ Cov[u0 | u] / sigma^2 of every row, u0 being the point without noise:

            sum_k r_k [C_k (C_k + sigma^2 I)^-1 + (a_k - D(u)) (a_k - D(u))^T / sigma^2]

        with a_k the Wiener answer of component k.
        """
        shares, answer = self.shares(u, sigma).to(u.dtype), self(u, sigma)
        outputs = outputs.to(u)
        found = u.new_zeros(len(outputs), *u.shape)
        for k, (mean, basis) in enumerate(self._components(u)):
            gain = (self.eigvals[k] / (self.eigvals[k] + sigma**2)).to(u)
            share = shares[:, k, None]
            apart = (mean + ((u - mean) @ basis * gain) @ basis.T - answer) / sigma
            found += share * ((outputs @ basis * gain) @ basis.T)[:, None]
            found += (outputs @ apart.T)[:, :, None] * (share * apart)
        return found

    def shares(self, u: Float[Tensor, "n m"], sigma: float) -> Float[Tensor, "n k"]:
        """r: the probability that each component made a row; rows sum to 1; float64."""
        return self.logits(u, check_sigma(sigma) ** 2).softmax(dim=1)

    def logits(self, u: Float[Tensor, "n m"], variance: float) -> Float[Tensor, "n k"]:
        """Log density of each component at each row under noise of this variance, times pi_k; float64.

        Projections are in the type of u, sums of squares in float64: a logit is a sum of m terms and
        as large as |u|^2 / sigma^2, often 1e4 and more, while differences of 0.01 between logits count.
        In float32 such a sum keeps seven digits, too few.
        """
        noisy = self.eigvals + variance
        squares = [
            torch.linalg.vector_norm((u - mean) @ basis * scale, dim=1, dtype=torch.float64).square()
            for (mean, basis), scale in zip(self._components(u), noisy.rsqrt().to(u), strict=True)
        ]
        offsets = self.weights.log() - 0.5 * (noisy * (2 * torch.pi)).log().sum(dim=1)
        return offsets.to(u.device) - 0.5 * torch.stack(squares, dim=1)

    def _components(self, u: Float[Tensor, "n m"]) -> Iterator[tuple[Float[Tensor, " m"], Float[Tensor, "m m"]]]:
        """Mean and eigenvectors of each component in type and place of u, one at a time."""
        for mean, basis in zip(self.means, self.eigvecs, strict=True):
            yield mean.to(u), basis.to(u)


def pack(mixture: Mixture, *, compact: bool = False) -> Artifact:
    """A mixture as an artefact; `compact` codes eigenvectors as int16 with one scale per vector, 2 K m^2 bytes."""
    arrays: dict[str, Shaped[Tensor, "..."]] = {
        "weights": mixture.weights,
        "means": mixture.means.float() if compact else mixture.means,
        "eigvals": mixture.eigvals.float() if compact else mixture.eigvals,
    }
    if compact:
        scale = mixture.eigvecs.abs().amax(dim=1, keepdim=True) / _LEVELS
        arrays |= {"scale": scale, "eigvecs": (mixture.eigvecs / scale).round().short()}
    else:
        arrays["eigvecs"] = mixture.eigvecs
    return Artifact(arrays)


def unpack(artifact: Artifact) -> Mixture:
    """The mixture of an artefact made by `pack`."""
    arrays = artifact.arrays
    eigvecs = arrays["eigvecs"].float()
    if "scale" in arrays:
        eigvecs *= arrays["scale"]
    return Mixture(arrays["weights"], arrays["means"].double(), arrays["eigvals"].double(), eigvecs)
