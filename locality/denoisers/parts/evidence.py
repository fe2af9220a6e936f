"""What decided one pixel of an averaging model: which training images, with which weights, through which window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
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


def evidence(
    bank: Bank,
    weights: Float[Tensor, " n"],
    window: Float[Tensor, "h w"],
    top: int,
    *,
    places: ImageShape | None = None,
) -> Evidence:
    """Evidence from the weights of all items; with `places`, item = image * (h w) + place."""
    weights = weights.double()
    heaviest = weights.topk(min(top, len(weights)))
    items = heaviest.indices.cpu()
    hw = 1 if places is None else places.h * places.w
    rows, flipped = bank.origin(items // hw)
    where = None if places is None else torch.stack([items % hw // places.w, items % places.w], dim=1)
    effective = float(effective_number(weights))
    return Evidence(rows, heaviest.values.cpu().float(), flipped, effective, window.cpu(), where)


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
