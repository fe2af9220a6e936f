"""How far to trust a local model over the Wiener filter at each noise level, from training images set aside."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from locality.fields.codec import TABLE_SIGMAS
from locality.linear.wiener import WienerFilter
from locality.noise import field_noise
from locality.schedule import between
from locality.types import Denoiser
from locality.work import Progress

_HELD_OUT = 256  # last training images that only the weights see
_VALIDATION = 64  # validation images of one noise level


@dataclass(frozen=True, eq=False)
class Blend:
    """a(sigma) D_local + (1 - a(sigma)) D_wiener; `weights` holds a at TABLE_SIGMAS, linear in ln sigma between."""

    wiener: WienerFilter
    weights: Float[Tensor, " s"]

    def weight(self, sigma: float) -> float:
        """a(sigma), constant outside the range of TABLE_SIGMAS."""
        return float(between(TABLE_SIGMAS, self.weights, sigma))


def estimate_weights(
    local: Denoiser, wiener: WienerFilter, x0: Float[Tensor, "n d"], seed: int
) -> Generator[Progress, None, Float[Tensor, " s"]]:
    """a at each of TABLE_SIGMAS by least squares on images that `local` was not fitted to; float64, in [0, 1].

        a = <x0 - D_wiener, D_local - D_wiener> / |D_local - D_wiener|^2

    Kept within [0, 1]: no level extrapolates beyond either model. Each level is evaluated on up to 127 of
    the images, strided so that every image serves some level. `wiener` may have seen them: what they
    added to it is taken away first.
    """
    eps = field_noise(len(x0), x0.shape[1], seed)
    unseeing = Unseeing.of(wiener, x0)
    weights = torch.zeros(len(TABLE_SIGMAS), dtype=torch.float64)
    for i, sigma in enumerate(TABLE_SIGMAS):
        yield Progress(i, len(TABLE_SIGMAS), f"Blend with Wiener, noise level {i + 1} of {len(TABLE_SIGMAS)}")
        rows = level_rows(len(x0), i)
        weights[i] = _least_squares(local, unseeing, x0[rows], eps[rows], sigma)
    return weights


def level_rows(count: int, level: int) -> slice:
    """Which of so many images serve at a noise level: 64 to 127 of them, strided."""
    stride = max(1, count // _VALIDATION)
    return slice(level % stride, None, stride)


def held_out(count: int) -> int:
    """How many of so many training images, the last ones, only the weights see."""
    return min(_HELD_OUT, max(1, count // 5))


def _least_squares(
    local: Denoiser, unseeing: Unseeing, x0: Float[Tensor, "n d"], eps: Float[Tensor, "n d"], sigma: float
) -> float:
    x = x0 + sigma * eps
    linear = unseeing(x, sigma)
    change = local(x, sigma).double() - linear
    size = float(change.square().sum())
    best = float(((x0 - linear) * change).sum()) / size if size > 0 else 0.0
    return min(max(best, 0.0), 1.0)


@dataclass(frozen=True, eq=False)
class Unseeing:
    """The Wiener filter of a training set without some of its images, by Woodbury's identity: no new decomposition.

    With n images of mean mu and covariance S, of which the h rows of A + mu are taken away, the rest has

        mu' = mu - sum(A) / n',   (n' - 1) S' = (n - 1) S - B^T B,   n' = n - h

    B being A and the row sqrt(n') (mu' - mu). Its filter is the identity minus sigma^2 (S' + sigma^2 I)^-1.
    An error on an image that the statistics hold flatters them, the more the fewer images there are.
    `scatter` is (n - 1) times the variance along the basis, `outside` that of every other direction, None for none.
    """

    mean: Float[Tensor, " d"]
    basis: Float[Tensor, "d k"]
    scatter: Float[Tensor, " k"]
    outside: float | None
    taken: Float[Tensor, "r d"]
    left: int

    @staticmethod
    def of(wiener: WienerFilter, seen: Float[Tensor, "h d"]) -> Unseeing:
        """Take the images `seen` away; at least two must be left."""
        away = seen.double() - wiener.mean
        left = wiener.count - len(seen)
        shift = -away.sum(dim=0) / left
        basis = wiener.eigvecs.double()
        taken = torch.cat([away, left**0.5 * shift[None]])
        outside = None if len(wiener.eigvals) == wiener.shape.d else (wiener.count - 1) * wiener.rest
        return Unseeing(wiener.mean + shift, basis, (wiener.count - 1) * wiener.eigvals, outside, taken, left)

    def __call__(self, x: Float[Tensor, "b d"], sigma: float) -> Float[Tensor, "b d"]:
        """The estimate mu' + W' (x - mu'), float64."""
        noise = (self.left - 1) * sigma**2
        solved, taken = self._solve(x.double() - self.mean, noise), self._solve(self.taken, noise)
        inner = torch.eye(len(taken), dtype=torch.float64) - taken @ self.taken.T
        solved = solved + torch.linalg.solve(inner, self.taken @ solved.T).T @ taken
        rest: Tensor = noise * solved
        return x - rest

    def _solve(self, rows: Float[Tensor, "b d"], noise: float) -> Float[Tensor, "b d"]:
        """((n - 1) S + noise I)^-1 of every row, all images counted."""
        outside = 0.0 if self.outside is None else 1.0 / (self.outside + noise)
        inside = (rows @ self.basis * (1.0 / (self.scatter + noise) - outside)) @ self.basis.T
        return inside + outside * rows if outside else inside
