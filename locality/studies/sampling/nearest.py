"""The training images nearest to some images: are they copies?"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from locality.cluster.here import usual
from locality.dataset import Dataset
from locality.datasets import Source
from locality.device import Compute
from locality.errors import TooLarge
from locality.work import Progress

_KEPT = 32  # candidates an image keeps from the float32 pass
_ULP = 2.0**-24  # rounding of one float32 operation

Found = tuple[Int[Tensor, " m"], Float[Tensor, " m"], Float[Tensor, " m"]]


def nearest_training(
    source: Source, images: Float[Tensor, "m d"], *, compute: Compute | None = None
) -> Generator[Progress, None, Found]:
    """Rows of the nearest training images, their L2 distances and those of the second nearest, float32.

    Exact: float32 products only choose candidates, whose distances are then taken directly in float64. Where the
    error bound of the products cannot rule every other image out, all distances of that image are taken directly.
    The lowest row wins a tie; of a single training image the second distance is infinite. Units of [-1, 1].

    Memory: the budget of `compute`; training images are read as they are stored, chunk by chunk.

    Raises:
        DataUnavailable: the training images are not on this machine.
        BadInput, NonFinite: images of another size; NaN or infinity.
        TooLarge: not even one training image at a time fits the memory budget.
    """
    source.shape.check(images)
    train, compute = source.train, compute or usual()
    queries = images.detach().float().cpu()
    scores, rows, longest = torch.empty(len(queries), 0), torch.empty(len(queries), 0, dtype=torch.int64), 0.0
    for start, x0 in _chunks(train, _chunk_size(train, len(queries), compute)):
        yield Progress(start, len(train), "Nearest training images")
        score, norm2 = _scores(queries.to(compute.device), x0.to(compute.device))
        scores, rows = _least(scores, rows, score, start)
        longest = max(longest, norm2)
    best = torch.empty(len(queries), dtype=torch.int64), *torch.empty(2, len(queries), dtype=torch.float64)
    for i, query in enumerate(queries.double()):
        some = rows[i].sort().values
        pair = _two(train.x0(some).double(), some, query)
        if len(some) < len(train) and not pair[2] < _ruled_out(query, float(scores[i].max()), longest):
            yield Progress(i, len(queries), "Nearest training images, those too close to call")
            pair = _direct(train, query, _chunk_size(train, 1, compute))
        for column, value in zip(best, pair, strict=True):
            column[i] = value
    return best[0], best[1].sqrt().float(), best[2].sqrt().float()


def _chunks(train: Dataset, size: int) -> Iterator[tuple[int, Float[Tensor, "k d"]]]:
    for start in range(0, len(train), size):
        yield start, train.x0(slice(start, start + size))


def _chunk_size(train: Dataset, m: int, compute: Compute) -> int:
    """Training images at a time: in both precisions, differences, squares, and the distances to m images."""
    each = 28 * train.shape.d + 12 * m
    if each > compute.memory:
        knob = f"Give at least {-(-each // 1024**2)} MB (--memory MB, Compute.memory), or ask for fewer images."
        raise TooLarge("Searching the training images", each, compute.memory, knob)
    return min(compute.images, compute.memory // each)


def _scores(queries: Float[Tensor, "m d"], x0: Float[Tensor, "k d"]) -> tuple[Float[Tensor, "m k"], float]:
    """|x0|^2 - 2 query.x0, which is the squared distance less |query|^2; and the largest |x0|^2."""
    norm2 = x0.square().sum(dim=1)
    return torch.addmm(norm2, queries, x0.T, alpha=-2.0), float(norm2.max())


def _least(
    scores: Float[Tensor, "m k"], rows: Int[Tensor, "m k"], more: Float[Tensor, "m j"], start: int
) -> tuple[Float[Tensor, "m i"], Int[Tensor, "m i"]]:
    """The candidates kept so far merged with those of one more chunk."""
    new = more.topk(min(_KEPT, more.shape[1]), dim=1, largest=False)
    scores, rows = torch.cat([scores, new.values.cpu()], dim=1), torch.cat([rows, start + new.indices.cpu()], dim=1)
    kept = scores.topk(min(_KEPT, scores.shape[1]), dim=1, largest=False)
    return kept.values, rows.gather(1, kept.indices)


def _ruled_out(query: Float[Tensor, " d"], score: float, longest: float) -> float:
    """Every image that is no candidate is at least this far, squared.

    A float32 sum of d products is within d ulps of the sum of their sizes, in any order.
    """
    size = math.sqrt(float(query.square().sum()))
    bound = 1.01 * (len(query) + 4) * _ULP * (longest + 2.0 * size * math.sqrt(longest))
    return size**2 + score - bound


def _two(x0: Float[Tensor, "k d"], rows: Int[Tensor, " k"], query: Float[Tensor, " d"]) -> tuple[int, float, float]:
    """Row and squared distance of the nearest, and the second distance; rows ascending, float64."""
    dist2, order = (x0 - query).square().sum(dim=1).sort(stable=True)
    return int(rows[order[0]]), float(dist2[0]), float(dist2[1]) if len(dist2) > 1 else torch.inf


def _direct(train: Dataset, query: Float[Tensor, " d"], size: int) -> tuple[int, float, float]:
    """As `_two`, of all training images."""
    row, first, second = -1, torch.inf, torch.inf
    for start, x0 in _chunks(train, size):
        near, dist2, next2 = _two(x0.double(), torch.arange(start, start + len(x0)), query)
        if dist2 < first:
            row, first, second = near, dist2, min(first, next2)
        else:
            second = min(second, dist2)
    return row, first, second
