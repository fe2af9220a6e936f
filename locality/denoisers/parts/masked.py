"""Posterior means through masks: each output compares the coordinates its row of a 0/1 matrix holds.

    logit_qi = sum_p M[q, p] (x_p x_ip - x_ip^2 / 2) / (sigma^2 T)

Outputs near each other have masks alike, so rows are cut in tiles: the columns of a tile are
gathered once for all queries and multiplied as one small dense product; columns that every row of a
tile holds may be added once for all its rows. Nothing is approximated by that. See `products` for the
products themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from locality.denoisers.parts.bank import Bank, precise
from locality.denoisers.parts.evidence import Evidence, evidence, masked_logits, softmax_weights
from locality.denoisers.parts.products import Products, products_for
from locality.denoisers.parts.shards import merged
from locality.errors import TooLarge
from locality.posterior import PosteriorMean, remember_little, stream
from locality.types import ImageShape, Pixel
from locality.work import heartbeat

CHUNK = 2048  # images a product runs over
QUERIES = 32  # noisy images that share one gathering of columns
_SIDES = (2, 4, 8, 16, 64)  # of tiles, in pixels
_GATHER = 4  # a gathered column costs about as much as so many multiplied rows


class Tile(NamedTuple):
    """Outputs `start`..`stop` in tile order, the columns they multiply, and their mask there."""

    start: int
    stop: int
    columns: Int[Tensor, " u"]
    rows: Float[Tensor, "m u"]


@dataclass(frozen=True, eq=False)
class MaskPlan:
    """A mask [m, d] cut in tiles. Row i answers the coordinates `outputs[i]` (one, or one per channel).

    `common` [t, d] holds what all rows of a tile share, None where it is multiplied with the rest.
    Memory: 4 bytes for every multiplied element, at most 4 m d.
    """

    outputs: Int[Tensor, "m v"]
    tiles: list[Tile]
    common: Float[Tensor, "t d"] | None
    support: float
    elsewhere: dict[torch.device, MaskPlan] = field(default_factory=dict)

    def on(self, device: torch.device) -> MaskPlan:
        """The same on a device, moved there once."""
        if self.outputs.device == device:
            return self
        if device not in self.elsewhere:
            tiles = [tile._replace(columns=tile.columns.to(device), rows=tile.rows.to(device)) for tile in self.tiles]
            common = None if self.common is None else self.common.to(device)
            self.elsewhere[device] = MaskPlan(self.outputs.to(device), tiles, common, self.support)
        return self.elsewhere[device]

    @staticmethod
    def of(mask: Bool[Tensor, "m d"], outputs: Int[Tensor, "m v"], shape: ImageShape) -> MaskPlan:
        """The cheapest of a few tilings: squares of pixels, of one channel or all, with common columns or without."""
        channel, pixel = outputs[:, 0] // (shape.h * shape.w), outputs[:, 0] % (shape.h * shape.w)
        row, col = pixel // shape.w, pixel % shape.w
        best: tuple[float, list[Int[Tensor, " m"]], bool] | None = None
        for side in _SIDES:
            square = (row // side) * (-(-shape.w // side)) + col // side
            for tile in {1: (square,)}.get(shape.c, (square, square + (1 + channel) * len(mask))):
                groups = [members.nonzero().flatten() for members in (tile == t for t in tile.unique())]
                costs = torch.tensor([_costs(mask[members]) for members in groups]).sum(dim=0)
                costs[1] += len(groups) * mask.shape[1]
                if best is None or float(costs.min()) < best[0]:
                    best = float(costs.min()), groups, bool(costs.argmin())
        assert best is not None
        _, groups, shared = best
        tiles, start = [], 0
        for members in groups:
            chosen = mask[members]
            columns = (chosen.any(dim=0) & ~(chosen.all(dim=0) & shared)).nonzero().flatten()
            tiles.append(Tile(start, start + len(members), columns, chosen[:, columns].float()))
            start += len(members)
        common = torch.stack([mask[members].all(dim=0) for members in groups]).float() if shared else None
        return MaskPlan(outputs[torch.cat(groups)], tiles, common, float(mask.sum(dim=1).double().mean()))


def _costs(rows: Bool[Tensor, "m d"]) -> list[float]:
    """Of a tile's product with all its columns, and with those that are not common to its rows."""
    held = float(rows.any(dim=0).sum())
    weight = len(rows) + _GATHER
    return [held * weight, (held - float(rows.all(dim=0).sum())) * weight]


def masked_posterior(
    bank: Bank,
    plan: MaskPlan,
    x: Float[Tensor, "b d"],
    sigma: float,
    temperature: float = 1.0,
    *,
    batch: int = 0,
) -> PosteriorMean:
    """The average of every output [b d] given the coordinates of its mask, before it is divided.

    Exact over all images; with `batch` the softmax is normalised within batches of so many images in
    order, whose answers are averaged with equal weight, as the released code of Lukoianov et al. does.
    Memory: about 20 d bytes per image of a chunk, within the budget.
    """
    blocks = [_masked_posterior(bank, plan, block, sigma, temperature, batch) for block in x.split(QUERIES)]
    return PosteriorMean.joined(blocks)


def _masked_posterior(
    bank: Bank, plan: MaskPlan, x: Float[Tensor, "b d"], sigma: float, temperature: float, batch: int
) -> PosteriorMean:
    d, noise = x.shape[1], sigma * temperature**0.5
    dtype = precise(x.dtype, max(1, int(plan.support)), noise)
    queries = x.to(dtype)
    per_image = dtype.itemsize * (4 * d + plan.outputs.numel() + 256 * len(x))

    def partial(q: Float[Tensor, "b d"], x_kd: Float[Tensor, "k d"]) -> PosteriorMean:
        products = products_for(q, sigma, noise, plan.support, is_8bit=bank.is_8bit)
        return _partial(plan.on(q.device), products(q), x_kd)

    def average(part: Bank, q: Float[Tensor, "b d"]) -> PosteriorMean:
        size = part.fit(per_image, most=CHUNK)
        return stream(q, part.chunks(size, dtype), partial, part.count(size))

    if batch:
        _check_batch(bank, batch, per_image)
        mean, count = queries.new_zeros(()), -(-len(bank) // batch)
        for done, x_kd in enumerate(_batches(bank, batch, dtype), start=1):
            mean = mean + remember_little(partial, queries, x_kd).mean() / count
            heartbeat(done / count)
        return PosteriorMean.weightless(mean).placed(plan.on(x.device).outputs, d)
    return merged(bank, queries, average).placed(plan.on(x.device).outputs, d)


def _partial(plan: MaskPlan, products: Products, x_kd: Float[Tensor, "k d"]) -> PosteriorMean:
    """Softmax averages [v b m] over one chunk, tile by tile so that a tile's logits stay in the cache."""
    items = x_kd.T.contiguous()
    values = items[plan.outputs.T]  # [v m k] in tile order
    near = products.of(items)
    shared = None if plan.common is None else near(plan.common, None)
    parts = []
    for number, tile in enumerate(plan.tiles):
        logits = near(tile.rows, tile.columns)
        if shared is not None:
            logits = logits + shared[:, number, None]
        here = values[:, tile.start : tile.stop]
        parts.append(PosteriorMean.of(logits, lambda e, here=here: torch.einsum("bmk,vmk->vbm", e, here)))  # type: ignore[misc]
    peak, weight, total = zip(*parts, strict=True)
    return PosteriorMean(torch.cat(peak, dim=1), torch.cat(weight, dim=1), torch.cat(total, dim=2))


def explain_masked(
    bank: Bank,
    x: Float[Tensor, " d"],
    masks: Bool[Tensor, "v d"],
    shape: ImageShape,
    scale: float,
    top: int,
) -> Evidence:
    """Weights of one pixel, averaged over its rows `masks`: O(N support)."""
    each = [softmax_weights(masked_logits(bank, x, mask.nonzero().flatten().to(x.device), scale)) for mask in masks]
    window = masks.reshape(-1, shape.c, shape.h, shape.w).any(dim=1).float().mean(dim=0)
    return evidence(bank, torch.stack(each).mean(dim=0), window, top)


def pixel_rows(shape: ImageShape, pixel: Pixel) -> Int[Tensor, " c"]:
    """Flat coordinates of a pixel, one per channel."""
    return torch.arange(shape.c) * shape.h * shape.w + pixel.row * shape.w + pixel.col


def _check_batch(bank: Bank, batch: int, per_image: int) -> None:
    """A batch of the softmax is one chunk: smaller chunks would be another model. Raises TooLarge."""
    need = per_image * min(batch, len(bank))
    if need > bank.memory:
        fitting = bank.memory // per_image
        smaller = f", or batch_size={fitting} at most" if fitting else ""
        raise TooLarge(
            f"A softmax over batches of {batch} {bank.shape} images",
            need,
            bank.memory,
            f"Give at least {-(-need // 1024**2)} MB (--memory MB, Compute.memory){smaller}.",
        )


def _batches(bank: Bank, batch: int, dtype: torch.dtype) -> Iterator[Float[Tensor, "k d"]]:
    """All items in batches of exactly `batch`, the last one smaller, across the border of mirrored ones."""
    for start in range(0, len(bank), batch):
        items = torch.arange(start, min(start + batch, len(bank)), device=bank.device)
        yield bank.pick(items).whole().to(dtype)
