"""Similarity of the fields of several models: every pair, over many pixels, with intervals and a chance level.

Each measure is the product of two unit vectors, so that all pairs are one matrix product:

    pearson     both fields less their means
    off_centre  the same excluding the field's own pixel, which every denoiser weighs most at low noise
    cosine      as they are
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor
from torch.nn import functional

from locality.fields.corrected import Corrected, CorrectedTally

MEASURES = ("pearson", "off_centre", "cosine")
_ROUNDING = 1e-12  # of a field's norm: less than this left over is rounding, not a pattern


@dataclass(frozen=True, eq=False)
class Similarity(Corrected):
    """One measure of all pairs of n models.

    `chance`: mean over all pairs of two different pixels, a field of each model. `spread`: standard deviation over
    initialisations where a model stands for several, else nan.
    """

    chance: Float64[Tensor, "*s n n"]
    spread: Float64[Tensor, "*s n n"]


class Tally:
    """Adds up the similarities of one noise level, chunk of pixels by chunk; at least four draws, the same of all.

    `intervals`: with errors over draws, which are most of the work for many models; nan without.
    """

    def __init__(self, intervals: bool = True) -> None:
        self._of = {measure: (CorrectedTally(intervals), _Chance()) for measure in MEASURES}

    def add(
        self, fields: Float[Tensor, "p k n q"], centres: Int[Tensor, " p"], share: Float64[Tensor, " p"] | None = None
    ) -> None:
        """Fields of p more pixels in k draws of n models.

        Args:
            centres: the pixels' places among the q.
            share: how much each pixel counts; None for all equally.
        Raises:
            BadInput: fewer than four draws.
        """
        each = fields.double()
        counts = torch.ones(len(each), dtype=torch.float64) if share is None else share.double()
        for measure, (corrected, chance) in self._of.items():
            vectors, before = centred(each, centres, measure)
            corrected.add(vectors, before.norm(dim=-1), counts)
            chance.add(vectors.mean(dim=1), before.mean(dim=1).norm(dim=-1), counts)

    def similarities(self) -> dict[str, Similarity]:
        """The result, by measure."""
        found = {}
        for measure, (corrected, chance) in self._of.items():
            part = corrected.result()
            nothing = torch.full_like(part.value, torch.nan)
            found[measure] = Similarity(**vars(part), chance=chance.result(), spread=nothing)
        return found


class _Chance:
    """Sum over all pairs of pixels less those of one pixel with itself, by their weight."""

    def __init__(self) -> None:
        self._fields: Tensor | float = 0.0
        self._same: Tensor | float = 0.0
        self._weight: Tensor | float = 0.0
        self._both: Tensor | float = 0.0

    def add(
        self, vectors: Float64[Tensor, "p n q"], before: Float64[Tensor, "p n"], counts: Float64[Tensor, " p"]
    ) -> None:
        length = vectors.norm(dim=-1)
        defined = length > _ROUNDING * before
        units = (vectors / torch.where(defined, length, torch.inf)[..., None]) * counts[:, None, None]
        weights = defined * counts[:, None]
        self._fields = self._fields + units.sum(dim=0)
        self._same = self._same + torch.einsum("pnq,pmq->nm", units, units)
        self._weight = self._weight + weights.sum(dim=0)
        self._both = self._both + weights.T @ weights

    def result(self) -> Float64[Tensor, "n n"]:
        assert isinstance(self._fields, Tensor)
        assert isinstance(self._weight, Tensor)
        pairs = self._weight[:, None] * self._weight - self._both
        return (self._fields @ self._fields.T - self._same) / torch.where(pairs > _ROUNDING, pairs, torch.nan)


def centred(
    fields: Float64[Tensor, "p *k n q"], centres: Int[Tensor, " p"], measure: str
) -> tuple[Float64[Tensor, "p *k n q"], Float64[Tensor, "p *k n q"]]:
    """Fields as vectors whose cosine is the measure, linear in the fields; and what their rounding is measured by."""
    size = fields.shape[-1]
    if measure == "cosine":
        return fields, fields
    if measure == "pearson":
        return fields - fields.mean(dim=-1, keepdim=True), fields
    own = functional.one_hot(centres, size).bool().reshape(len(centres), *(1,) * (fields.ndim - 2), size)
    around = fields.masked_fill(own, 0.0)
    mean = around.sum(dim=-1, keepdim=True) / (size - 1)
    return (around - mean).masked_fill(own, 0.0), around
