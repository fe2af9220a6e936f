"""How similar the fields of several models are: every pair, over many pixels, with errors and a chance level.

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

MEASURES = ("pearson", "off_centre", "cosine")
_ROUNDING = 1e-12  # of a field's norm: less than this left over is rounding, not a pattern
_BYTES = 64  # of working memory per value of `fields`, at the peak


@dataclass(frozen=True, eq=False)
class Similarity:
    """One measure of all pairs of n models, in [-1, 1]; nan where no pixel has both fields defined.

    `value`: mean over the pixels where both fields vary, `pixels` of them. `stderr`: its standard error
    over draws. `chance`: mean over all pairs of two different pixels, a field of each model. `ceiling`: a
    model with itself, each field averaged over its own half of the draws; below 1 by the noise of the draws.
    """

    value: Float64[Tensor, "*s n n"]
    stderr: Float64[Tensor, "*s n n"]
    chance: Float64[Tensor, "*s n n"]
    ceiling: Float64[Tensor, "*s n"]
    pixels: Int[Tensor, "*s n n"]


class Tally:
    """Adds up the similarities of one noise level, chunk of pixels by chunk; `draws` at least 2.

    The standard error is the jackknife over draws: all models see the same draws, and a draw is left out
    of all of them at once.
    """

    def __init__(self) -> None:
        self._parts: list[dict[str, Tensor]] = []
        self._sums: Tensor | None = None

    def add(self, fields: Float[Tensor, "p k n q"], centres: Int[Tensor, " p"]) -> None:
        """Fields of p more pixels in k draws of n models; `centres` are the pixels' places among the q."""
        each, count = fields.double(), fields.shape[1]
        total, half = each.sum(dim=1), count // 2
        others = (total[:, None] - each) / (count - 1)
        halves = torch.stack([each[:, :half].mean(dim=1), each[:, half:].mean(dim=1)], dim=1)
        part: dict[str, list[Tensor]] = {"whole": [], "without": [], "halves": []}
        sums = []
        for measure in MEASURES:
            whole = unit_fields(total / count, centres, measure)
            sums.append(whole.nan_to_num().sum(dim=0))
            part["whole"].append(_products(whole))
            part["without"].append(_products(unit_fields(others, centres, measure)))
            first, second = unit_fields(halves, centres, measure).unbind(dim=1)
            part["halves"].append((first * second).sum(dim=-1))
        self._parts.append({name: torch.stack(values, dim=1) for name, values in part.items()})
        self._sums = torch.stack(sums) + (0.0 if self._sums is None else self._sums)

    def similarities(self) -> dict[str, Similarity]:
        """The result, by measure."""
        whole, without, halves = (
            torch.cat([part[name] for part in self._parts]) for name in ("whole", "without", "halves")
        )
        count, value = whole.isfinite().sum(dim=0), whole.nanmean(dim=0)
        left_out = without.nanmean(dim=0)  # [m k n n]
        draws = left_out.shape[1]
        spread = (left_out - left_out.mean(dim=1, keepdim=True)).square().sum(dim=1)
        stderr, ceiling = (spread * (draws - 1) / draws).sqrt(), halves.nanmean(dim=0)
        chance = self._chance(whole)
        found = zip(value, stderr, chance, ceiling, count, strict=True)
        return {name: Similarity(*numbers) for name, numbers in zip(MEASURES, found, strict=True)}

    def _chance(self, whole: Float64[Tensor, "p m n n"]) -> Float64[Tensor, "m n n"]:
        """Sum over all pairs of pixels less those of one pixel with itself, by their number."""
        assert self._sums is not None
        defined = whole.diagonal(dim1=-2, dim2=-1).isfinite().double().sum(dim=0)  # pixels of each model [m n]
        pairs = defined[:, :, None] * defined[:, None] - whole.isfinite().sum(dim=0)
        different = self._sums @ self._sums.mT - whole.nansum(dim=0)
        return different / torch.where(pairs > 0, pairs, torch.nan)


def memory_per_pixel(draws: int, models: int, size: int) -> int:
    """Bytes that `Tally.add` takes for a pixel, the fields included."""
    return _BYTES * (draws + 3) * models * size


def unit_fields(
    fields: Float64[Tensor, "p *k n q"], centres: Int[Tensor, " p"], measure: str
) -> Float64[Tensor, "p *k n q"]:
    """Fields as vectors of length 1 whose products are the measure; nan where a field is constant or zero."""
    size = fields.shape[-1]
    if measure == "cosine":
        return _unit(fields, fields)
    if measure == "pearson":
        return _unit(fields - fields.mean(dim=-1, keepdim=True), fields)
    own = functional.one_hot(centres, size).bool().reshape(len(centres), *(1,) * (fields.ndim - 2), size)
    around = fields.masked_fill(own, 0.0)
    mean = around.sum(dim=-1, keepdim=True) / (size - 1)
    return _unit((around - mean).masked_fill(own, 0.0), around)


def _unit(vectors: Float64[Tensor, "*p q"], before: Float64[Tensor, "*p q"]) -> Float64[Tensor, "*p q"]:
    norm = vectors.norm(dim=-1, keepdim=True)
    return vectors / torch.where(norm > _ROUNDING * before.norm(dim=-1, keepdim=True), norm, torch.nan)


def _products(units: Float64[Tensor, "*p n q"]) -> Float64[Tensor, "*p n n"]:
    return (units @ units.mT).clamp(-1.0, 1.0)
