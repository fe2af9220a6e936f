"""Entries of the Wiener filter in float64, and how far those of its float32 matrix may be from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float32, Float64, Int
from torch import Tensor

from locality.linear.wiener import BLOCK, WienerFilter


def rounding(components: int) -> float:
    """What entries of the float32 matrix are off by at most, in units of sqrt(W_qq W_pp).

    Of sums of n products in any order, at most n 2^-24 of the sum of their sizes (Higham 2002, section 3.1), which is
    at most that root (Cauchy-Schwarz); sums of parts and the rounding of gain, product and reader come on top.
    """
    return (min(BLOCK, components) + -(-components // BLOCK) + 8) * 2.0**-24


@dataclass(frozen=True, eq=False)
class Exact:
    """A filter at a noise level."""

    field: WienerFilter
    sigma: float

    @cached_property
    def own(self) -> Float64[Tensor, " d"]:
        """W_qq: how much every coordinate weighs itself."""
        found = []
        for rows in self.field.eigvecs.split(BLOCK):
            squares = rows.double()
            found.append(squares.mul_(squares) @ self._gain)
        return self._rest + torch.cat(found)

    def off(self, own: Float64[Tensor, " q"]) -> Float32[Tensor, "q d"]:
        """How far entries of the matrix may be off, in rows that weigh themselves by `own`."""
        unit = rounding(self.field.eigvecs.shape[1])
        return (unit * own[:, None].sqrt()).float() * self.own.sqrt().float()

    def rows(self, coords: Int[Tensor, " q"]) -> Float64[Tensor, "q d"]:
        """Rows of W."""
        left = self.field.eigvecs[coords].double().mul_(self._gain)
        found = torch.cat([left @ part.double().T for part in self.field.eigvecs.split(BLOCK)], dim=1)
        found[torch.arange(len(coords)), coords] += self._rest
        return found

    def entries(self, rows: Int[Tensor, " n"], columns: Int[Tensor, " n"]) -> Float64[Tensor, " n"]:
        """W_qp of single pairs."""
        found, eigvecs = (rows == columns).double() * self._rest, self.field.eigvecs
        for some in torch.arange(len(rows), device=rows.device).split(BLOCK):
            left = eigvecs[rows[some]].double().mul_(self._gain)
            found[some] += left.mul_(eigvecs[columns[some]]).sum(dim=1)
        return found

    @cached_property
    def _rest(self) -> float:
        return self.field.rest_gain(self.sigma)

    @cached_property
    def _gain(self) -> Float64[Tensor, " k"]:
        return self.field.gain(self.sigma) - self._rest
