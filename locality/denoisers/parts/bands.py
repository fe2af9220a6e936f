"""Principal components in bands, each with a weight of its own for every member of a stack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from locality.device import sent
from locality.linear.wiener import WienerFilter


@dataclass(frozen=True, eq=False)
class Bands:
    """Bands of about equal width in the logarithm of the rank; the last one is every direction left.

    `basis` holds the components of all bands but the last, in descending order of variance; `ends` the number of
    components up to the end of each of these. One band: no component. Memory: 4 d k bytes.
    """

    basis: Float[Tensor, "d k"]
    ends: tuple[int, ...] = ()

    @staticmethod
    def one(d: int) -> Bands:
        """All directions as one."""
        return Bands(torch.zeros(d, 0))

    @staticmethod
    def of(wiener: WienerFilter, ends: Sequence[int]) -> Bands:
        """Bands of the components of a covariance, of which there are at least as many as the ends say."""
        return Bands(wiener.eigvecs[:, : ends[-1] if ends else 0].contiguous(), tuple(ends))

    def __len__(self) -> int:
        return len(self.ends) + 1

    def on(self, device: torch.device) -> Bands:
        """The same on a device."""
        return replace(self, basis=self.basis.to(device))

    def split(self, away: Float[Tensor, "*b d"]) -> list[Float[Tensor, "*b _"]]:
        """Coordinates within each band; of the last band what is left of the images themselves."""
        basis = self.basis.to(away)
        inside = away @ basis
        return [*(inside[..., low:high] for low, high in pairwise((0, *self.ends))), away - inside @ basis.T]

    def weigh(self, away: Float[Tensor, "f b d"], weights: Float[Tensor, "k f"]) -> Float[Tensor, "b d"]:
        """sum_f sum_k weights[k, f] P_k away_f, P_k being the projection on band k."""
        total = torch.zeros_like(away[0])
        for one, weight in zip(away, weights[-1].tolist(), strict=True):
            total = total + weight * one
        if not self.ends:
            return total
        basis, above = self.basis.to(away), sent(self._above(weights), away.device).to(away)
        return total + torch.einsum("fc,fbc->bc", above, away @ basis) @ basis.T

    def weighed(self, outputs: Float[Tensor, "m d"], weights: Float[Tensor, "k f"]) -> Float[Tensor, "f m d"]:
        """sum_k weights[k, f] outputs P_k for every f: what `weigh` does, seen from its outputs."""
        basis = self.basis.to(outputs)
        rest, above = (sent(part, outputs.device).to(outputs) for part in (weights[-1], self._above(weights)))
        return rest[:, None, None] * outputs + above[:, None] * (outputs @ basis) @ basis.T

    def _above(self, weights: Float[Tensor, "k f"]) -> Float[Tensor, "f c"]:
        """For every component, by how much its weight differs from that of the last band."""
        widths = torch.tensor([high - low for low, high in pairwise((0, *self.ends))], dtype=torch.int64)
        return torch.repeat_interleave(weights[:-1] - weights[-1], widths, dim=0).T


def spaced(known: int, count: int) -> tuple[int, ...]:
    """Ends of so many bands but the last, of so many components: fewer where two of them would meet."""
    return tuple(sorted({round(known ** (i / count)) for i in range(1, count)} - {0, known}))
