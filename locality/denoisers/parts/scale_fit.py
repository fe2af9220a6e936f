"""Learning the mixtures of one scale from training patches: principal directions, then expectation-maximisation."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from locality.dataset import Dataset
from locality.denoisers.parts.em import FLOOR, by_contrast, expect_maximise
from locality.denoisers.parts.mixture import Mixture
from locality.denoisers.parts.patches import draw, gather, places, regions
from locality.denoisers.parts.scale import Scale
from locality.denoisers.parts.subspace import SubspaceMixture
from locality.errors import BadInput
from locality.linear.wiener import decompose
from locality.work import Progress, map_progress

_BLOCK = 8192  # patches at a time
_PER_DIRECTION = 1  # a component has at least so many patches for every direction of the subspace
_LEAST = 10  # patches of a region
_DECOMPOSED = 16_384  # patches that the principal directions are learned from, at most


@dataclass(frozen=True)
class Plan:
    """What the scales of a model have in common, by the names of its options."""

    components: int
    precise: bool
    patches: int
    steps: int
    shrink: float
    seed: int


def learn_scale(
    seen: Dataset, window: int, rank: int, grid: int, plan: Plan, memory: int
) -> Generator[Progress, None, Scale]:
    """A mixture of a rank, 0 for all directions, for each of grid x grid regions of the places of one window.

    A component has at least q patches: of fewer patches there are fewer components.
    Memory: 4 q bytes per patch of a region, the covariance of its patches (16 m^2) beside it.

    Raises:
        BadInput: a region with fewer than ten patches.
    """
    where = regions(seen.shape, window, grid)
    chosen = draw(seen, window, plan.patches, plan.seed)
    at = where[chosen % places(seen.shape, window)]
    count = int(where.max()) + 1
    least = int(torch.bincount(at, minlength=count).min())
    if least < _LEAST:
        raise BadInput(
            f"patch_mixture: a region of the image has {least} patches of {window} pixels; it needs {_LEAST}. "
            "Give fewer positions, more patches, a smaller window, or more images."
        )
    mixtures = []
    for region in range(count):
        yield Progress(region, count, f"Patches of {window} pixels")
        mine = Patches(seen, window, chosen[at == region])

        def change(event: Progress, region: int = region) -> Progress:
            part = f"{event.note}, {window} pixels, region {region + 1} of {count}"
            return Progress(region + event.fraction, count, part, event.numbers)

        mixtures.append((yield from map_progress(_learn(mine, rank, plan), change)))
    return Scale(seen.shape, window, grid, plan.precise, tuple(mixtures), memory)


@dataclass(frozen=True)
class Patches:
    """Windows of a training set by their numbers, gathered a block at a time."""

    data: Dataset
    window: int
    chosen: Int[Tensor, " n"]

    def blocks(self, most: int | None = None) -> Iterator[Float[Tensor, "k m"]]:
        """All, or at most so many of them, spread evenly."""
        stride = 1 if most is None else -(-len(self.chosen) // most)
        for some in self.chosen[::stride].split(_BLOCK):
            yield gather(self.data, self.window, some)


def _learn(patches: Patches, rank: int, plan: Plan) -> Generator[Progress, None, SubspaceMixture]:
    mean, basis = principal(patches, rank)
    n, rank = len(patches.chosen), basis.shape[1]
    z, contrast, outside = torch.empty(n, rank), torch.empty(n), torch.empty(n, dtype=torch.float64)
    start = 0
    for block in patches.blocks():
        rows = slice(start, start := start + len(block))
        contrast[rows] = block.var(dim=1, correction=0)
        away = block - mean.float()
        z[rows] = away @ basis
        outside[rows] = torch.linalg.vector_norm(away - z[rows] @ basis.T, dim=1, dtype=torch.float64).square()
    components = min(plan.components, max(1, n // (_PER_DIRECTION * rank)))
    labels = by_contrast(contrast, components)
    inner = yield from expect_maximise(z, labels, components, steps=plan.steps, shrink=plan.shrink)
    return SubspaceMixture(mean, basis, _rests(inner, z, outside, len(mean) - rank), inner)


def principal(patches: Patches, rank: int) -> tuple[Float[Tensor, " m"], Float[Tensor, "m q"]]:
    """Mean, float64, and leading principal directions of patches, all for rank 0; products float32, sums float64."""
    total, count, square = None, 0, None
    centre = next(patches.blocks(_DECOMPOSED)).mean(dim=0)
    for block in patches.blocks(_DECOMPOSED):
        away = block - centre
        product, sums = (away.T @ away).double(), away.sum(dim=0, dtype=torch.float64)
        square, total = (product, sums) if square is None or total is None else (square + product, total + sums)
        count += len(block)
    assert total is not None
    assert square is not None
    move = total / count
    _, vectors = decompose(square / count - move[:, None] * move)
    return centre + move, vectors[:, : rank or len(move)].contiguous()


def _rests(
    inner: Mixture, z: Float[Tensor, "n q"], outside: Float[Tensor, " n"], directions: int
) -> Float[Tensor, " k"]:
    """Variance of a direction outside the subspace by component, of as much of each patch as the component made."""
    shared, counts = torch.zeros_like(inner.weights), torch.zeros_like(inner.weights)
    if not directions:
        return shared
    floor = Mixture(inner.weights, inner.means, inner.eigvals.clamp(min=FLOOR), inner.eigvecs)
    for block, left in zip(z.split(_BLOCK), outside.split(_BLOCK), strict=True):
        shares = floor.logits(block, 0.0).softmax(dim=1)
        shared += left @ shares
        counts += shares.sum(dim=0)
    pooled = float(outside.mean())
    return torch.where(counts >= 2, shared / counts.clamp(min=2), pooled) / directions
