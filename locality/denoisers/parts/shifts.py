"""Averages over the patches at all places of 8-bit images: a shift compares every window with that of one place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from locality.denoisers.parts.bank import Bank
from locality.denoisers.parts.moves import Move
from locality.denoisers.parts.patch_sums import PART, each_part
from locality.denoisers.parts.shards import merged
from locality.denoisers.parts.shift_kernels import LANES, shifted
from locality.posterior import PosteriorMean
from locality.types import ImageShape
from locality.work import within

_QUERIES = 8  # noisy images whose sums a thread holds
_PIECES = 16  # at least, of a few images, so that all threads work and the time left is known


def memory(shape: ImageShape, noisy: int) -> int:
    """Bytes of a call's arrays in every thread."""
    c, h, w = shape
    each = 4 * LANES * h * w * (3 * c + 6) + PART * shape.d
    return (
        torch.get_num_threads() * (each + 8 * LANES * h * w * (2 + c) * min(noisy, _QUERIES)) + 8 * 3 * noisy * shape.d
    )


def shift_posterior(
    bank: Bank,
    x: Float[Tensor, "b d"],
    sigma: float,
    size: int,
    moves: tuple[Sequence[Move], Sequence[Move]],
    around: bool,
) -> PosteriorMean:
    """For every place, the mean over its shifts of all images; `around`: beyond an edge is the one opposite.

    As images [b d], float64; neither threads nor how many noisy images there are change a number.
    """
    downs, rights = (_table(axis) for axis in moves)
    scale = np.float32(-0.5 / (127.5 * sigma) ** 2 / np.log(2.0))
    blocks = x.detach().split(_QUERIES)
    found = []
    for number, block in enumerate(blocks):
        greys = ((block.double() + 1.0) * 127.5).float().reshape(-1, *bank.shape).numpy()

        def average(bank: Bank, x: Float[Tensor, "b d"], greys: np.ndarray = greys) -> PosteriorMean:
            sums: PosteriorMean | None = None
            some = min(PART, LANES * -(-len(bank) // (_PIECES * LANES)))
            for peaks, totals in each_part(
                bank, lambda part: shifted(part, greys, size, scale, around, downs, rights), some
            ):
                new = _of_lanes(torch.from_numpy(peaks), torch.from_numpy(totals))
                sums = new if sums is None else sums.merge(new)
            assert sums is not None, "an average over nothing"
            return sums

        with within(number / len(blocks), (number + 1) / len(blocks)):
            found.append(merged(bank, block, average).flat())
    return PosteriorMean.joined(found)


def _table(moves: Sequence[Move]) -> Int64[np.ndarray, "m 5"]:
    spans = [
        (m.seen.start, m.seen.stop - m.seen.start, m.by, m.answered.start, m.answered.stop - m.answered.start)
        for m in moves
    ]
    return np.array(spans, np.int64)


def _of_lanes(peaks: Float[Tensor, "b p k"], totals: Float[Tensor, "b v p k"]) -> PosteriorMean:
    """The average over lanes, in images' own units."""
    peak = peaks.amax(dim=-1)
    weight, *values = (totals * (peaks - peak[..., None]).exp2()[:, None]).sum(dim=-1).unbind(dim=1)
    return PosteriorMean(peak * np.log(2.0), weight, torch.stack(values) / 127.5 - weight)
