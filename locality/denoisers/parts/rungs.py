"""How a ladder of mixtures is fitted: clusters of a few sizes, mixtures of each, weights on images set aside."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from locality.dataset import Dataset
from locality.denoisers.parts.kmeans import nearest, sampled_centres
from locality.denoisers.parts.ladder import SIGMAS, convex_weights, counted, pack_ladder
from locality.denoisers.parts.mixture import Mixture
from locality.denoisers.parts.thin import Thin, pooled_within, thin_groups
from locality.linear.gram import decompose_images
from locality.linear.moments import estimate_moments
from locality.linear.wiener import WienerFilter
from locality.noise import field_noise
from locality.store import Artifact
from locality.types import ImageShape
from locality.work import Progress, map_progress

MOST = 300  # components of the largest mixture: 1,000 bring less than their time
_EACH = 40  # images that a component of the largest mixture has on average
_SIZES, _RATIO = 4, 10.0**0.5  # mixtures, each so much smaller than the one before
_BYTES, _LOW = 64 * 10**6, 64  # of one mixture where no rank is given, and the least rank then
_SMALL, _RANK = 1024, 192  # coordinates up to which the rank may be full, and its most above: decompositions cost d^3
_FEW = 8  # components of a mixture that is not the only one
_LEAST = 8  # images of a cluster
_PRIORS = (32, 10)  # the pooled covariance counts as d / 32 images, and as d / 10 too where groups are small
_COORDINATES = 64  # principal ones that clusters are found in
_ASIDE, _LEVEL = 256, 128  # images set aside, and of them those of one noise level
_BLOCK = 4096  # images at a time


@dataclass(frozen=True)
class Rung:
    """One mixture to try: clusters (0: the classes), rank, and how many images the pooled covariance counts as."""

    clusters: int
    rank: int
    prior: float


def rungs(images: int, shape: ImageShape, classes: int, rank: int, prior: float) -> list[Rung]:
    """The mixtures tried for so many images; `rank`, `prior` 0: by the memory, and by the number of coordinates."""
    sizes: list[int] = []
    size = float(max(2, min(MOST, images // _EACH)))
    while not sizes or (size >= _FEW and len(sizes) < _SIZES):
        sizes.append(round(size))
        size /= _RATIO
    found = []
    for clusters, count in [(size, size) for size in reversed(sizes)] + [(0, classes)] * bool(classes):
        most = shape.d if shape.d <= _SMALL else _RANK
        chosen = min(shape.d, rank or max(_LOW, min(most, _BYTES // (4 * count * shape.d))))
        small = images / count < shape.d / 8
        priors = (prior,) if prior else [max(1.0, shape.d / part) for part in _PRIORS[: 1 + small]]
        found += [Rung(clusters, chosen, each) for each in priors]
    return found


def bytes_of(tried: Sequence[Rung], classes: int, shape: ImageShape) -> int:
    """Bytes of all mixtures that are tried."""
    return sum(4 * (rung.clusters or classes) * shape.d * rung.rank for rung in tried)


def learn_ladder(
    train: Dataset,
    wiener: WienerFilter,
    tried: Sequence[Rung],
    by_class: Int[Tensor, " n"] | None,
    seed: int,
    *,
    kappa: bool,
) -> Generator[Progress, None, Artifact]:
    """Mixtures of all but the last images, weights on these, then the mixtures that some level uses, of all images."""
    aside = min(_ASIDE, len(train) // 5)
    known = len(train) - aside
    yield Progress(0.0, 1.0, "Principal coordinates of the images")
    points = _coordinates(train, wiener)
    labels: dict[int, Int[Tensor, " n"]] = {}
    for clusters in dict.fromkeys(rung.clusters for rung in tried):
        yield Progress(0.0, 1.0, f"{clusters} clusters" if clusters else "Classes")
        if not clusters:
            assert by_class is not None
            labels[clusters] = by_class
            continue
        centres = sampled_centres(points[:known], clusters, seed, least=min(_LEAST, max(2, known // clusters // 4)))
        labels[clusters] = nearest(points, centres)
    rest, x0 = train.first(known), train.x0(slice(known, len(train)))
    pooled: dict[tuple[int, int, int], Thin] = {}

    def fit(rung: Rung, images: Dataset) -> Generator[Progress, None, Mixture]:
        groups = _groups(labels[rung.clusters][: len(images)])
        place = rung.clusters, rung.rank, len(images)
        if place not in pooled:
            pooled[place] = yield from pooled_within(images, groups, rung.rank)
        return (yield from thin_groups(images, groups, rung.rank, rung.prior, pooled=pooled[place]))

    yield Progress(0.0, 1.0, "Wiener filter of the images that are not set aside")
    judge = _Judge((yield from _linear(rest)), x0, field_noise(aside, train.shape.d, seed))
    for i, rung in enumerate(tried):
        mixture = yield from map_progress(fit(rung, rest), _part(0.7 * i / len(tried), 0.5 / len(tried), _name(rung)))
        yield Progress(0.7 * (i + 0.7) / len(tried), 1.0, f"{_name(rung)}: held-out error")
        judge.add(counted(mixture, known, kappa=kappa))
    weights = judge.weights()
    mixtures: list[Mixture] = []
    for i, rung in enumerate(tried):
        if not bool(weights[:, i + 1].any()):
            mixtures.append(mixture)  # holds the place; packed are those that some level uses
            continue
        step = _part(0.7 + 0.3 * i / len(tried), 0.3 / len(tried), f"{_name(rung)}, all images")
        mixtures.append((yield from map_progress(fit(rung, train), step)))
    return pack_ladder(mixtures, weights)


class _Judge:
    """Errors of members on images set aside, a different part of them at each noise level."""

    def __init__(
        self, wiener: Callable[[Tensor, float], Tensor], x0: Float[Tensor, "n d"], eps: Float[Tensor, "n d"]
    ) -> None:
        stride = max(1, len(x0) // _LEVEL)
        parts = [slice(level % stride, None, stride) for level in range(len(SIGMAS))]
        self._x0 = [x0[part] for part in parts]
        self._x = [x0[part] + sigma * eps[part] for part, sigma in zip(parts, SIGMAS, strict=True)]
        self._residuals: list[list[Tensor]] = [[] for _ in SIGMAS]
        self.add(wiener)

    def add(self, member: Callable[[Tensor, float], Tensor]) -> None:
        for level, sigma in enumerate(SIGMAS):
            answer = member(self._x[level], sigma).float()
            self._residuals[level].append(answer - self._x0[level])

    def weights(self) -> Float64[Tensor, "s f"]:
        return torch.stack([convex_weights(torch.stack(each)) for each in self._residuals])


def _linear(rest: Dataset) -> Generator[Progress, None, Callable[[Tensor, float], Tensor]]:
    """The exact Wiener filter of some images: from what is shipped others cannot be taken away, it is rounded.

    Memory: 24 d^2 bytes, or what fewer images than coordinates take.
    """
    if len(rest) < rest.shape.d:
        return (yield from decompose_images(rest.data, rest.shape))
    moments = estimate_moments(rest.data[at : at + _BLOCK] for at in range(0, len(rest), _BLOCK))
    mean, cov = moments.mean(), moments.cov()

    def solved(x: Tensor, sigma: float) -> Tensor:
        system = cov.clone()
        system.diagonal().add_(sigma**2)
        away = (x.double() - mean).T
        noise: Tensor = torch.cholesky_solve(away, torch.linalg.cholesky(system)).T
        return x - sigma**2 * noise

    return solved


def _coordinates(train: Dataset, wiener: WienerFilter) -> Float[Tensor, "n m"]:
    basis, mean = wiener.eigvecs[:, :_COORDINATES], wiener.mean.float()
    parts = [(train.x0(slice(at, at + _BLOCK)) - mean) @ basis for at in range(0, len(train), _BLOCK)]
    return torch.cat(parts)


def _groups(labels: Int[Tensor, " n"]) -> list[Int[Tensor, " _"]]:
    """Image numbers of every group; what is alone in one is in the largest."""
    counts = torch.bincount(labels)
    labels = torch.where(counts[labels] < 2, counts.argmax(), labels)
    return [torch.nonzero(labels == label).squeeze(1) for label in labels.unique()]


def _name(rung: Rung) -> str:
    return f"Mixture of {rung.clusters} clusters" if rung.clusters else "Mixture of the classes"


def _part(start: float, share: float, name: str) -> Callable[[Progress], Progress]:
    return lambda event: replace(event, done=start + share * event.fraction, total=1.0, note=f"{name}: {event.note}")
