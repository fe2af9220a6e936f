"""Images whose channels lie side by side in memory, for compiled loops that threads share out."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

T = TypeVar("T")


def takes(x: Tensor, channels: int, weight: Tensor, bias: Tensor | None) -> bool:
    """Whether loops take images and weights: [b c h w], not empty, of so many channels; all float32 on a CPU."""
    tensors = (x, weight) if bias is None else (x, weight, bias)
    plain = all(tensor.dtype == torch.float32 and tensor.device.type == "cpu" for tensor in tensors)
    fits = x.dim() == 4 and x.shape[1] == channels and x.numel() > 0 and (bias is None or len(bias) == len(weight))
    return plain and fits and not torch.is_autocast_enabled("cpu")


def room(shape: Sequence[int]) -> Float[Tensor, "b c h w"]:
    """An empty tensor in channels_last; not a view, so that autograd may add to it in place."""
    return torch.empty(*shape, dtype=torch.float32, device="cpu", memory_format=torch.channels_last)


def channels_last(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b h w c"]:
    """A view where the channels lie side by side, else a copy."""
    return x.detach().permute(0, 2, 3, 1).contiguous()


def array(tensor: Tensor) -> Any:
    """A tensor's values as loops take them."""
    return tensor.detach().contiguous().numpy()


def shared(count: int, work: Callable[[int, int], T], parts: int | None = None) -> list[T]:
    """What the threads return, each for its part of `count` pieces, in order; at most so many parts.

    As `device.together`, with threads that stay: a step of training comes here some hundred times.
    """
    many = min(torch.get_num_threads(), count, parts or count)
    cuts = [count * number // many for number in range(many + 1)]
    others = [_begun(many - 1, work, *cut) for cut in pairwise(cuts[1:])]
    return [work(cuts[0], cuts[1]), *(other.result() for other in others)]


def _begun(threads: int, work: Callable[[int, int], T], first: int, last: int) -> Future[T]:
    try:
        return _pool(threads).submit(work, first, last)
    except RuntimeError:  # the program is ending, and this thread outlives the one it began with
        done: Future[T] = Future()
        done.set_result(work(first, last))
        return done


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "convolutions")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # whose threads stayed behind
