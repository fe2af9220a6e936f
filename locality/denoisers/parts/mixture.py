"""A mixture of Gaussians seen through noise: who made this point, and the Wiener answer of each.

    D(u) = sum_k r_k [m_k + C_k (C_k + sigma^2 I)^-1 (u - m_k)]
    r = softmax_k(ln pi_k - 1/2 (u - m_k)^T (C_k + sigma^2 I)^-1 (u - m_k) - 1/2 logdet(C_k + sigma^2 I))

The exact posterior mean where the points come from the mixture. Each covariance is decomposed once, in full or as
low rank plus isotropic rest, C_k = U_k diag(l_k - s_k) U_k^T + s_k I, so that any noise level costs products only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from locality.linear.finite import effective_noise
from locality.schedule import check_sigma
from locality.store import Artifact

_LEVELS = 32_767  # of the int16 code of an eigenvector
_LATER = ("rest", "counts")  # arrays that only some mixtures have


@dataclass(frozen=True, eq=False)
class Mixture:
    """K Gaussians in m dimensions; memory 4 K m r bytes.

    `weights` [k] (sum 1), `means` and `eigvals` (>= 0) float64; `eigvecs` float32, one eigenvector per column.
    `rest`: variance of every direction outside of them, None where r = m. `counts`: images of each component, by
    which its filter takes kappa(sigma^2) for sigma^2; None for the plain filter.
    """

    weights: Float[Tensor, " k"]
    means: Float[Tensor, "k m"]
    eigvals: Float[Tensor, "k r"]
    eigvecs: Float[Tensor, "k m r"]
    rest: Float[Tensor, " k"] | None = None
    counts: Float[Tensor, " k"] | None = None

    def on(self, device: torch.device) -> Mixture:
        """The same on a device."""
        if self.eigvecs.device == device:
            return self
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        there: dict[str, Any] = {name: None if array is None else array.to(device) for name, array in arrays.items()}
        return Mixture(**there)

    def __call__(self, u: Float[Tensor, "n m"], sigma: float) -> Float[Tensor, "n m"]:
        """Posterior mean of every row; differentiable. A component is left out where its share underflows to 0."""
        return self.combine(u, self.shares(u, sigma).to(u.dtype), sigma)

    def combine(self, u: Float[Tensor, "n m"], shares: Float[Tensor, "n k"], sigma: float) -> Float[Tensor, "n m"]:
        """The components' Wiener answers, weighted by these shares; those whose share is 0 are not computed."""
        answer = torch.zeros_like(u)
        filters = _Filters(self, self._filter_noise(sigma))
        for k, (mean, basis) in enumerate(self._components(u)):
            share = shares[:, k]
            rows = share.detach().nonzero().squeeze(1) if u.is_cpu else None  # a GPU would have to be waited for
            if rows is not None and not len(rows):
                continue
            if rows is None or len(rows) == len(u):  # without the copies that picking rows makes
                answer = answer + share[:, None] * (mean + filters(k, u - mean, basis))
            else:
                part = share[rows][:, None] * (mean + filters(k, u[rows] - mean, basis))
                answer = answer.index_add(0, rows, part)
        return answer

    def jacobian_rows(
        self, u: Float[Tensor, "n m"], outputs: Float[Tensor, "v m"], sigma: float
    ) -> Float[Tensor, "v n m"]:
        """outputs @ Cov[u0 | u] / sigma^2 of every row, u0 being the point without noise:

            sum_k r_k [C_k (C_k + sigma^2 I)^-1 + (a_k - D(u)) (b_k - B(u))^T / sigma^2]

        with a_k the answer of component k and b_k its Wiener answer at sigma itself, which its share follows:
        the same but for kappa. B is their average.
        """
        shares, answer = self.shares(u, sigma).to(u.dtype), self(u, sigma)
        filters, plain = _Filters(self, self._filter_noise(sigma)), None
        average = answer
        if self.counts is not None:
            plain = _Filters(self, torch.full_like(self.weights, sigma**2))
            average = torch.zeros_like(u)
            for k, (mean, basis) in enumerate(self._components(u)):
                average = average + shares[:, k, None] * (mean + plain(k, u - mean, basis))
        outputs = outputs.to(u)
        found = u.new_zeros(len(outputs), *u.shape)
        for k, (mean, basis) in enumerate(self._components(u)):
            share = shares[:, k, None]
            apart = (mean + filters(k, u - mean, basis) - answer) / sigma
            moved = apart if plain is None else (mean + plain(k, u - mean, basis) - average) / sigma
            found += share * filters(k, outputs, basis)[:, None]
            found += (outputs @ apart.T)[:, :, None] * (share * moved)
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
        beside = None if self.rest is None else self.rest + variance
        squares = []
        for k, (mean, basis) in enumerate(self._components(u)):
            away = u - mean
            inside = away @ basis
            scaled = _squares(inside * noisy[k].rsqrt().to(u))
            squares.append(scaled if beside is None else scaled + (_squares(away) - _squares(inside)) / beside[k])
        volume = (noisy * (2 * torch.pi)).log().sum(dim=1)
        if beside is not None:
            volume = volume + (self.means.shape[1] - self.eigvals.shape[1]) * (beside * (2 * torch.pi)).log()
        offsets = self.weights.log() - 0.5 * volume
        return offsets.to(u.device) - 0.5 * torch.stack(squares, dim=1)

    def _filter_noise(self, sigma: float) -> Float[Tensor, " k"]:
        """What stands for sigma^2 in the filter of each component."""
        if self.counts is None:
            return torch.full_like(self.weights, sigma**2)
        rest = torch.zeros_like(self.weights) if self.rest is None else self.rest
        outside = self.means.shape[1] - self.eigvals.shape[1]
        return effective_noise(self.eigvals, rest, outside, self.counts, sigma**2)

    def _components(self, u: Float[Tensor, "n m"]) -> Iterator[tuple[Float[Tensor, " m"], Float[Tensor, "m r"]]]:
        """Mean and eigenvectors of each component in type and place of u, one at a time."""
        for mean, basis in zip(self.means, self.eigvecs, strict=True):
            yield mean.to(u), basis.to(u)


class _Filters:
    """C_k (C_k + noise_k I)^-1 of each component, applied to rows."""

    def __init__(self, mixture: Mixture, noise: Float[Tensor, " k"]) -> None:
        self._gains = mixture.eigvals / (mixture.eigvals + noise[:, None])
        self._rest = None
        if mixture.rest is not None:
            self._rest = mixture.rest / (mixture.rest + noise)
            self._gains = self._gains - self._rest[:, None]

    def __call__(self, k: int, rows: Float[Tensor, "n m"], basis: Float[Tensor, "m r"]) -> Float[Tensor, "n m"]:
        inside = (rows @ basis * self._gains[k].to(rows)) @ basis.T
        return inside if self._rest is None else inside + self._rest[k].to(rows) * rows


def _squares(rows: Float[Tensor, "n r"]) -> Float[Tensor, " n"]:
    found: Tensor = torch.linalg.vector_norm(rows, dim=1, dtype=torch.float64).square()
    return found


def pack(mixture: Mixture, *, compact: bool = False) -> Artifact:
    """A mixture as an artefact; `compact` codes eigenvectors as int16 with one scale per vector, 2 K m r bytes."""
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
    later = {name: getattr(mixture, name) for name in _LATER}
    return Artifact(arrays | {name: array for name, array in later.items() if array is not None})


def unpack(artifact: Artifact) -> Mixture:
    """The mixture of an artefact made by `pack`."""
    arrays = artifact.arrays
    eigvecs = arrays["eigvecs"].float()
    if "scale" in arrays:
        eigvecs *= arrays["scale"]
    later = (arrays.get(name) for name in _LATER)
    return Mixture(arrays["weights"], arrays["means"].double(), arrays["eigvals"].double(), eigvecs, *later)
