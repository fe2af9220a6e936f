"""Softmax averages over any number of items, streamed: exact for any chunking, mergeable.

    mean = sum_i w_i v_i,   w = softmax_i(logit_i)

Only the running maximum, the sum of exponentials and the weighted sum of values are kept, so memory
does not grow with the number of items. Differentiable: with gradients on, every chunk is computed
again in the backward pass instead of being kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from locality.work import heartbeat

P = TypeVar("P")
R = TypeVar("R")
_LEAST = -1e30  # stands for the maximum where every logit is -inf, so that nothing becomes NaN
NOTHING = -80.0  # exp of less is 0 or a denormal number, which is several times slower; exp(-80) is 1.8e-35


class PosteriorMean(NamedTuple):
    """Part of an average: `total / weight` is the mean of the items seen, `peak` their largest logit.

    `peak` and `weight` have the shape of one softmax's queries; `total` has value axes in front of it.
    """

    peak: Float[Tensor, "..."]
    weight: Float[Tensor, "..."]
    total: Float[Tensor, "..."]

    @staticmethod
    def of(
        logits: Float[Tensor, "... k"], weigh: Callable[[Float[Tensor, "... k"]], Float[Tensor, "..."]]
    ) -> PosteriorMean:
        """One chunk of items on the last axis; `weigh` turns their weights into the weighted sum of values.

        Without gradients the logits are overwritten.
        """
        peak = logits.detach().amax(dim=-1).clamp(min=_LEAST)
        if logits.requires_grad:
            weights = (logits - peak[..., None]).clamp(min=NOTHING).exp()
        else:
            weights = logits.sub_(peak[..., None]).clamp_(min=NOTHING).exp_()
        return PosteriorMean(peak, weights.sum(dim=-1), weigh(weights))

    @staticmethod
    def known(mean: Float[Tensor, "..."], log_weight: Float[Tensor, "..."]) -> PosteriorMean:
        """Of items whose average, and ln sum_i exp(logit_i), are known."""
        return PosteriorMean(log_weight, torch.ones_like(log_weight), mean)

    @staticmethod
    def weightless(mean: Float[Tensor, "v ..."]) -> PosteriorMean:
        """An answer that is no average over items: it merges with nothing."""
        return PosteriorMean.known(mean, torch.zeros_like(mean[0]))

    def on(self, device: torch.device) -> PosteriorMean:
        """The same on a device."""
        return PosteriorMean(*(part.to(device) for part in self))

    @staticmethod
    def joined(parts: Sequence[PosteriorMean]) -> PosteriorMean:
        """Averages of other queries, one after the other on the first axis of all three."""
        return PosteriorMean(*map(torch.cat, zip(*parts, strict=True)))

    @staticmethod
    def stacked(parts: Sequence[PosteriorMean]) -> PosteriorMean:
        """Averages of one query each, on a new first axis, behind the value axis of the totals."""
        peak, weight, total = map(torch.stack, zip(*parts, strict=True))
        return PosteriorMean(peak, weight, total.transpose(0, 1))

    def flat(self) -> PosteriorMean:
        """Of queries [b ...] and one value axis, their channels, in front: all three as images [b d]."""
        channels = len(self.total)
        peak, weight = (part.flatten(1).repeat(1, channels) for part in (self.peak, self.weight))
        return PosteriorMean(peak, weight, self.total.transpose(0, 1).flatten(1))

    def placed(self, outputs: Int[Tensor, "m v"], d: int) -> PosteriorMean:
        """Of queries [b m] as images [b d]: query i answers the coordinates outputs[i]; 0 where none answers."""
        columns = outputs.T.flatten().to(self.total.device)
        empty = self.total.new_zeros(len(self.peak), d)
        starts = empty, torch.ones_like(empty), empty
        return PosteriorMean(
            *(start.index_copy(1, columns, part.to(start)) for start, part in zip(starts, self.flat(), strict=True))
        )

    def padded(self, *by: int) -> PosteriorMean:
        """With queries added around that have seen nothing; `by` as torch.nn.functional.pad takes it."""
        pad = torch.nn.functional.pad
        return PosteriorMean(pad(self.peak, by, value=_LEAST), pad(self.weight, by), pad(self.total, by))

    def merge(self, other: PosteriorMean) -> PosteriorMean:
        """The average over the items of both parts; the order does not matter."""
        peak = torch.maximum(self.peak, other.peak)
        ours, theirs = (self.peak - peak).exp(), (other.peak - peak).exp()
        return PosteriorMean(peak, self.weight * ours + other.weight * theirs, self.total * ours + other.total * theirs)

    def mean(self) -> Float[Tensor, "..."]:
        """The average over all items seen."""
        return self.total / self.weight

    def log_weight(self) -> Float[Tensor, "..."]:
        """ln sum_i exp(logit_i): what a second pass over the items normalises with."""
        return self.peak + self.weight.log()


def stream(
    x: Float[Tensor, "..."],
    parts: Iterable[P],
    partial: Callable[[Float[Tensor, "..."], P], PosteriorMean],
    count: int,
    share: float = 1.0,
) -> PosteriorMean:
    """Merge `partial(x, part)` over all parts, one in memory at a time; heartbeats after each of `count`.

    `share` of the whole call is this pass.
    """
    running: PosteriorMean | None = None
    for done, part in enumerate(parts, start=1):
        new = remember_little(partial, x, part)
        running = new if running is None else running.merge(new)
        heartbeat(share * done / count)
    assert running is not None, "an average over nothing"
    return running


def remember_little(work: Callable[..., R], x: Tensor, *rest: object) -> R:
    """work(x, *rest); where a gradient is asked for, its inner results are made again, not kept."""
    if torch.is_grad_enabled() and x.requires_grad:
        again: R = checkpoint(work, x, *rest, use_reentrant=False)
        return again
    return work(x, *rest)
