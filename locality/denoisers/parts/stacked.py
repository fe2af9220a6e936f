"""The sum of denoisers at weights that depend on the noise level and on the band of principal components."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from locality.denoisers.parts.bands import Bands
from locality.device import placed
from locality.fields.jacobian import field_rows
from locality.schedule import between, check_sigma, log_grid
from locality.types import Denoiser, ImageShape
from locality.work import within

SIGMAS = log_grid(0.02, 40.0, 12)  # noise levels the weights are learned at, linear in ln sigma between


@dataclass(frozen=True, eq=False)
class StackDenoiser:
    """mu + sum_k P_k sum_f a_kf(sigma) (D_f - mu_f), P_k the projection on band k; outside the levels the nearest one.

    `weights` [level, band, member]. A member whose weights at a level are all zero is not asked there.
    Memory: that of the members.
    """

    shape: ImageShape
    members: tuple[Denoiser, ...]
    mean: Float[Tensor, " d"]
    means: Float[Tensor, "f d"]
    weights: Float[Tensor, "s k f"]
    bands: Bands

    def on(self, device: torch.device) -> StackDenoiser:
        """The same on a device; the weights, from which numbers are read, stay."""
        members = tuple(placed(member, device) for member in self.members)
        mean, means, bands = self.mean.to(device), self.means.to(device), self.bands.on(device)
        return replace(self, members=members, mean=mean, means=means, bands=bands)

    def __call__(self, x: Float[Tensor, "b d"], sigma: float) -> Float[Tensor, "b d"]:
        """Raises BadInput (size of x, sigma), NonFinite (x), TooLarge (memory budget)."""
        self.shape.check(x)
        weights = self.weights_at(check_sigma(sigma))
        asked, away = self._asked(weights), []
        for i, which in enumerate(asked):
            with within(i / len(asked), (i + 1) / len(asked)):
                away.append(self.members[which](x, sigma) - self.means[which].to(x))
        return self.mean.to(x) + self.bands.weigh(torch.stack(away), weights[:, asked])

    def with_parts(self, change: Callable[[Denoiser], Denoiser]) -> Denoiser:
        return replace(self, members=tuple(map(change, self.members)))

    def jacobian_rows(
        self, x: Float[Tensor, "b d"], outputs: Float[Tensor, "m d"], sigma: float
    ) -> Float[Tensor, "m b d"]:
        """The same combination of the members' rows: of each at the outputs that its weights make. Raises as a call."""
        self.shape.check(x)
        weights = self.weights_at(check_sigma(sigma))
        asked = self._asked(weights)
        total = x.new_zeros(len(outputs), *x.shape)
        for which, weighed in zip(asked, self.bands.weighed(outputs.to(x), weights[:, asked]), strict=True):
            total = total + field_rows(self.members[which], x, weighed, sigma)
        return total

    def weights_at(self, sigma: float) -> Float[Tensor, "k f"]:
        """a_kf(sigma), linear in ln sigma between the levels."""
        return between(SIGMAS, self.weights, sigma)

    def _asked(self, weights: Float[Tensor, "k f"]) -> list[int]:
        """The members that count, the first one where none does."""
        return [i for i, its in enumerate(weights.T) if bool(its.any())] or [0]
