"""Mixtures of several sizes, blended anew at every noise level: how many components an image needs depends on sigma.

    D = sum_f a_f(sigma) D_f,   a_f >= 0,   sum_f a_f = 1

D_0 is the Wiener filter. a is the least-squares choice on training images held out from the mixtures, of three members
at most, linear in ln sigma between the levels.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from locality.denoisers.parts.mixture import Mixture, pack, unpack
from locality.fields.jacobian import field_rows
from locality.linear.wiener import WienerFilter
from locality.schedule import between, log_grid
from locality.store import Artifact

SIGMAS = log_grid(0.05, 20.0, 9)  # noise levels the blend is chosen at
_MEMBERS = 3  # of one level at most: each costs its time in every step
_NEARLY = 1.001  # fewer members do where the error is so close to the least
_WEIGHTS, _ROUNDING = "blend", 1e-9


@dataclass(frozen=True, eq=False)
class Ladder:
    """The Wiener filter and mixtures at their `weights` [s f] of each of SIGMAS; answers as a `Mixture`."""

    wiener: WienerFilter
    mixtures: tuple[Mixture, ...]
    weights: Float64[Tensor, "s f"]

    def on(self, device: torch.device) -> Ladder:
        """The same on a device; the weights, from which numbers are read, stay."""
        wiener, mixtures = self.wiener.on(device), tuple(one.on(device) for one in self.mixtures)
        return self if wiener is self.wiener else Ladder(wiener, mixtures, self.weights)

    def __call__(self, u: Float[Tensor, "n m"], sigma: float) -> Float[Tensor, "n m"]:
        """The blend of every row; differentiable."""
        answer = torch.zeros_like(u)
        for weight, member in self._active(sigma):
            answer = answer + weight * member(u, sigma)
        return answer

    def jacobian_rows(
        self, u: Float[Tensor, "n m"], outputs: Float[Tensor, "v m"], sigma: float
    ) -> Float[Tensor, "v n m"]:
        """The blend of the members' rows."""
        rows = u.new_zeros(len(outputs), *u.shape)
        for weight, member in self._active(sigma):
            if isinstance(member, WienerFilter):
                rows += weight * field_rows(member, u, outputs, sigma)
            else:
                rows += weight * member.jacobian_rows(u, outputs, sigma)
        return rows

    def weights_at(self, sigma: float) -> Float64[Tensor, " f"]:
        """a_f(sigma), linear in ln sigma between the levels, constant outside of them."""
        return between(SIGMAS, self.weights, sigma)

    def _active(self, sigma: float) -> Iterator[tuple[float, WienerFilter | Mixture]]:
        members: tuple[WienerFilter | Mixture, ...] = (self.wiener, *self.mixtures)
        for weight, member in zip(self.weights_at(sigma).tolist(), members, strict=True):
            if weight > 0.0:
                yield weight, member


def convex_weights(residuals: Float[Tensor, "f b d"]) -> Float64[Tensor, " f"]:
    """Weights >= 0 that sum to 1, of few members, whose blend of residuals D_f - x0 has the least square; float64.

    Of the choices within a thousandth of the least error the one of the fewest members.
    """
    flat = residuals.flatten(1).double()
    gram = flat @ flat.T
    gram.diagonal().add_(_ROUNDING * float(gram.diagonal().mean()) + 1e-300)
    found: list[tuple[float, tuple[int, ...], Tensor]] = []
    for size in range(1, min(_MEMBERS, len(flat)) + 1):
        for members in itertools.combinations(range(len(flat)), size):
            part = gram[list(members)][:, list(members)]
            solved = torch.linalg.solve(part, torch.ones(size, dtype=torch.float64))
            shares = solved / solved.sum()
            if bool((shares >= 0.0).all()):
                found.append((float(shares @ part @ shares), members, shares))
    least = min(error for error, _, _ in found)
    _, members, shares = min((one for one in found if one[0] <= _NEARLY * least), key=lambda one: (len(one[1]), one[0]))
    weights = torch.zeros(len(flat), dtype=torch.float64)
    weights[list(members)] = shares
    return weights


def pack_ladder(mixtures: Sequence[Mixture], weights: Float64[Tensor, "s f"]) -> Artifact:
    """The mixtures that some level uses, and the weights, as one artefact, without the Wiener filter."""
    used = [0, *(f for f in range(1, weights.shape[1]) if bool(weights[:, f].any()))]
    arrays = {_WEIGHTS: weights[:, used]}
    for place, f in enumerate(used[1:]):
        arrays |= {f"{place}.{name}": array for name, array in pack(mixtures[f - 1]).arrays.items()}
    return Artifact(arrays)


def unpack_ladder(artifact: Artifact, wiener: WienerFilter, images: int, *, kappa: bool) -> Ladder:
    """The ladder of an artefact made by `pack_ladder`; `kappa`: filters of finite samples, of so many `images`."""
    weights = artifact.arrays[_WEIGHTS]
    mixtures = []
    for place in range(weights.shape[1] - 1):
        own = {name.partition(".")[2]: a for name, a in artifact.arrays.items() if name.startswith(f"{place}.")}
        mixtures.append(counted(unpack(Artifact(own)), images, kappa=kappa))
    return Ladder(wiener, tuple(mixtures), weights)


def counted(mixture: Mixture, images: int, *, kappa: bool) -> Mixture:
    """The mixture of so many images, its filters those of finite samples where asked for."""
    return replace(mixture, counts=mixture.weights * images) if kappa else mixture
