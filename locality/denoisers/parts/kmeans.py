"""Seeded k-means on a random projection: which images look similar, roughly and repeatably."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from locality.dataset import Dataset

_STEPS = 100  # at most; small sets settle after ten or twenty
_PROJECTED = 64  # coordinates kept of each image: distances within about a tenth, at 4 n 64 bytes


def cluster(data: Dataset, clusters: int, seed: int, chunk: int) -> Int[Tensor, " n"]:
    """The cluster of every image, 0..clusters-1; the same on every machine.

    Distances are taken after a random projection to 64 coordinates (Johnson, Lindenstrauss 1984)
    where images have more. Runs on the CPU, streaming `chunk` images at a time.
    """
    generator = torch.Generator().manual_seed(seed)
    d = data.shape.d
    starts = range(0, len(data), chunk)
    parts = (data.x0(slice(start, start + chunk)) for start in starts)
    if d > _PROJECTED:
        projection = torch.randn(d, _PROJECTED, generator=generator) / _PROJECTED**0.5
        parts = (part @ projection for part in parts)
    return kmeans(torch.cat(list(parts)).double(), clusters, generator)


def kmeans(points: Float[Tensor, "n m"], clusters: int, generator: torch.Generator) -> Int[Tensor, " n"]:
    """Lloyd's iterations until nothing moves, from k-means++ centres; an empty cluster keeps its centre.

    Source: Lloyd 1982; Arthur, Vassilvitskii 2007.
    """
    centres = _spread(points, clusters, generator)
    labels = torch.cdist(points, centres).argmin(dim=1)
    for _ in range(_STEPS):
        counts = torch.bincount(labels, minlength=clusters).to(points)
        sums = torch.zeros_like(centres).index_add_(0, labels, points)
        centres = torch.where(counts[:, None] > 0, sums / counts.clamp(min=1)[:, None], centres)
        previous, labels = labels, torch.cdist(points, centres).argmin(dim=1)
        if torch.equal(previous, labels):
            break
    return labels


def _spread(points: Float[Tensor, "n m"], clusters: int, generator: torch.Generator) -> Float[Tensor, "k m"]:
    """k-means++: each next centre is drawn in proportion to the squared distance from those there are."""
    chosen = [int(torch.randint(len(points), (1,), generator=generator))]
    far = torch.full((len(points),), torch.inf, dtype=points.dtype)
    for _ in range(1, clusters):
        far = torch.minimum(far, (points - points[chosen[-1]]).square().sum(dim=1))
        at = torch.rand(1, generator=generator, dtype=points.dtype) * far.sum()
        chosen.append(min(int(torch.searchsorted(far.cumsum(0), at)), len(points) - 1))
    return points[chosen]
