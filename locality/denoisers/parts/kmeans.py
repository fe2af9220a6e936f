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
MANY = 64  # clusters above which a sample of the points has to do
_SAMPLE, _PER_CLUSTER = 20_000, 40  # points of the sample at least, and for each cluster
_STARTS, _SHORT = 3, 25  # tries, and iterations of each


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
    if clusters > MANY:
        return nearest(points.float(), sampled_centres(points.float(), clusters, seed))
    return kmeans(points, clusters, generator)


def sampled_centres(points: Float[Tensor, "n m"], clusters: int, seed: int, *, least: int = 2) -> Float[Tensor, "k m"]:
    """The best of three k-means on samples of the points: 300 clusters of 60,000 points in seconds.

    Clusters of fewer than `least` of all points are dissolved, so that fewer may come back.
    """
    generator = torch.Generator().manual_seed(seed)
    size = min(len(points), max(_SAMPLE, _PER_CLUSTER * clusters))
    judged = points[torch.randperm(len(points), generator=generator)[:size]]
    best, least_spread = points[:1], float("inf")
    for _ in range(_STARTS):
        some = points[torch.randperm(len(points), generator=generator)[:size]]
        labels = kmeans(some, clusters, generator, steps=_SHORT)
        centres = torch.stack([some[labels == label].mean(dim=0) for label in labels.unique()])
        spread = float(torch.cdist(judged, centres).amin(dim=1).square().sum())
        if spread < least_spread:
            best, least_spread = centres, spread
    while True:
        counts = torch.bincount(nearest(points, best), minlength=len(best))
        if len(best) == 1 or int(counts.min()) >= least:
            return best
        few = counts < least
        few[counts.argmax()] = False
        best = best[~few]


def kmeans(
    points: Float[Tensor, "n m"], clusters: int, generator: torch.Generator, *, steps: int = _STEPS
) -> Int[Tensor, " n"]:
    """Lloyd's iterations until nothing moves, from k-means++ centres; an empty cluster keeps its centre.

    Source: Lloyd 1982; Arthur, Vassilvitskii 2007.
    """
    centres = _spread(points, clusters, generator)
    labels = nearest(points, centres)
    for _ in range(steps):
        counts = torch.bincount(labels, minlength=clusters).to(points)
        sums = torch.zeros_like(centres)
        for some, where in zip(points.split(_TOGETHER), labels.split(_TOGETHER), strict=True):
            sums.index_add_(0, where, some)
        centres = torch.where(counts[:, None] > 0, sums / counts.clamp(min=1)[:, None], centres)
        previous, labels = labels, nearest(points, centres)
        if torch.equal(previous, labels):
            break
    return labels


def nearest(points: Float[Tensor, "n m"], centres: Float[Tensor, "k m"]) -> Int[Tensor, " n"]:
    """Which centre each point is nearest to."""
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
