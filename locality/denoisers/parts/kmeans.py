"""Seeded k-means on a random projection: which images look similar, roughly and repeatably."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from locality.dataset import Dataset
from locality.pictures.room import room

_STEPS = 100  # at most; small sets settle after ten or twenty
_PROJECTED = 64  # coordinates kept of each image: distances within about a tenth, at 8 n 64 bytes
_TOGETHER = 65_536  # points at a time


def cluster(data: Dataset, clusters: int, seed: int, chunk: int) -> Int[Tensor, " n"]:
    """The cluster of every image, 0..clusters-1; the same on every machine.

    Distances are taken after a random projection to 64 coordinates (Johnson, Lindenstrauss 1984)
    where images have more. Runs on the CPU, streaming `chunk` images at a time; of a mapped set the points lie in a
    file too.
    """
    generator = torch.Generator().manual_seed(seed)
    n, d = len(data), data.shape.d
    projection = torch.randn(d, _PROJECTED, generator=generator) / _PROJECTED**0.5 if d > _PROJECTED else None
    points = room(n, min(d, _PROJECTED), torch.float64, in_file=data.mapped)
    for start in range(0, n, chunk):
        part = data.x0(slice(start, start + chunk))
        points[start : start + chunk] = part if projection is None else part @ projection
    return kmeans(points, clusters, generator)


def kmeans(points: Float[Tensor, "n m"], clusters: int, generator: torch.Generator) -> Int[Tensor, " n"]:
    """Lloyd's iterations until nothing moves, from k-means++ centres; an empty cluster keeps its centre.

    Source: Lloyd 1982; Arthur, Vassilvitskii 2007.
    """
    centres = _spread(points, clusters, generator)
    labels = _nearest(points, centres)
    for _ in range(_STEPS):
        counts = torch.bincount(labels, minlength=clusters).to(points)
        sums = torch.zeros_like(centres)
        for some, where in zip(points.split(_TOGETHER), labels.split(_TOGETHER), strict=True):
            sums.index_add_(0, where, some)
        centres = torch.where(counts[:, None] > 0, sums / counts.clamp(min=1)[:, None], centres)
        previous, labels = labels, _nearest(points, centres)
        if torch.equal(previous, labels):
            break
    return labels


def _nearest(points: Float[Tensor, "n m"], centres: Float[Tensor, "k m"]) -> Int[Tensor, " n"]:
    return torch.cat([torch.cdist(some, centres).argmin(dim=1) for some in points.split(_TOGETHER)])


def _spread(points: Float[Tensor, "n m"], clusters: int, generator: torch.Generator) -> Float[Tensor, "k m"]:
    """k-means++: each next centre is drawn in proportion to the squared distance from those there are."""
    chosen = [int(torch.randint(len(points), (1,), generator=generator))]
    far = torch.full((len(points),), torch.inf, dtype=points.dtype)
    for _ in range(1, clusters):
        away = [(some - points[chosen[-1]]).square().sum(dim=1) for some in points.split(_TOGETHER)]
        far = torch.minimum(far, torch.cat(away))
        at = torch.rand(1, generator=generator, dtype=points.dtype) * far.sum()
        chosen.append(min(int(torch.searchsorted(far.cumsum(0), at)), len(points) - 1))
    return points[chosen]
