"""What decided one pixel of an averaging model: which training images, with which weights, through which window."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from locality.denoisers.parts.bank import Bank
from locality.denoisers.parts.compiled import holds_bytes
from locality.metrics import effective_number
from locality.types import ImageShape, Pixel

TOP = 12


@dataclass(frozen=True, eq=False)
class Evidence:
    """The heaviest training images behind a pixel.

    `rows` are numbers in the training set, `weights` sum to at most 1, `effective` is the exponential
    of the entropy of all weights (1: one image decides), `window` [h, w] in [0, 1] the input pixels
    that were compared, `places` (row, col) where in the training image the patch lies if it may move.
    """

    rows: Int[Tensor, " m"]
    weights: Float[Tensor, " m"]
    flipped: Bool[Tensor, " m"]
    effective: float
    window: Float[Tensor, "h w"]
    places: Int[Tensor, "m 2"] | None = None


@runtime_checkable
class Explains(Protocol):
    """A denoiser whose answer at a pixel is a weighted average of training images."""

    def explain(self, x: Float[Tensor, " d"], pixel: Pixel, sigma: float, top: int = TOP) -> Evidence: ...


def evidence(bank: Bank, weights: Float[Tensor, " n"], window: Float[Tensor, "h w"], top: int) -> Evidence:
    """Evidence from the weights of all items."""
    weights = weights.double()
    heaviest = weights.topk(min(top, len(weights)))
    rows, flipped = bank.origin(heaviest.indices)
    effective = float(effective_number(weights))
    return Evidence(rows, heaviest.values.cpu().float(), flipped, effective, window.cpu())


class Heaviest:
    """The softmax of more logits than are held at once: the largest of them, and the entropy of all weights."""

    def __init__(self, top: int) -> None:
        self._top, self._seen = top, 0
        self._peak, self._weight, self._moment = -math.inf, 0.0, 0.0  # sum exp(l - peak), and of its (l - peak)
        self._logits: Tensor | None = None
        self._items = torch.zeros(0, dtype=torch.int64)

    def add(self, logits: Float64[Tensor, " k"]) -> None:
        """The next ones in order; minus infinity for what does not count."""
        best = logits.topk(min(self._top, len(logits)))
        logits_kept = best.values if self._logits is None else torch.cat([self._logits, best.values])
        items = torch.cat([self._items, self._seen + best.indices.cpu()])
        kept = logits_kept.topk(min(self._top, len(logits_kept)))
        self._logits, self._items = kept.values, items[kept.indices.cpu()]
        self._seen += len(logits)
        peak = float(kept.values[0])
        if peak == -math.inf:
            return
        away = logits - peak
        each = away.exp()
        before = math.exp(self._peak - peak) if self._weight else 0.0
        moved = self._weight * (self._peak - peak) if self._weight else 0.0
        self._moment = (self._moment + moved) * before + float((each * away.clamp(min=-1e300)).sum())
        self._weight = self._weight * before + float(each.sum())
        self._peak = peak

    def evidence(self, bank: Bank, window: Float[Tensor, "h w"], places: ImageShape) -> Evidence:
        """As the function, item = image * (h w) + place."""
        assert self._logits is not None
        hw = places.h * places.w
        rows, flipped = bank.origin(self._items // hw)
        where = torch.stack([self._items % hw // places.w, self._items % places.w], dim=1)
        weights = (self._logits - self._peak).exp() / self._weight
        effective = self._weight * math.exp(-self._moment / self._weight)  # exp(ln sum - mean of l)
        return Evidence(rows, weights.cpu().float(), flipped, effective, window.cpu(), where)


def masked_logits(bank: Bank, x: Float[Tensor, " d"], coords: Int[Tensor, " p"], scale: float) -> Float[Tensor, " n"]:
    """-scale * ||(x - x_i)_coords||^2 of every item, float64: O(n p) for a clicked pixel."""
    if len(coords) and holds_bytes(bank):
        from locality.denoisers.parts.distances import squared_distances  # Numba takes half a second to load

        near, coords = x.detach()[coords], coords.cpu()
        sides = [coords, bank.mirrored(coords)] if bank.flips else [coords]
        found = [squared_distances(part.data, near, columns) for columns in sides for part in bank.parts]
        return torch.cat(found) * -scale
    size = bank.fit(20 * len(coords), most=4096)
    near = x.double()[coords]
    parts = [(near - part).square().sum(dim=1) * -scale for part in bank.columns(coords, size, torch.float64)]
    return torch.cat(parts)


def softmax_weights(logits: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Weights of one softmax over all items, float64."""
    return torch.softmax(logits.double(), dim=0)
