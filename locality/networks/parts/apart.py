"""Images shared out among the cores, each of which takes its own through the whole network.

With all cores at each layer they wait for one another some hundred times in a pass.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import pairwise
from threading import Barrier, Lock, local
from typing import TypeVar

import torch
from torch import nn

T = TypeVar("T")

ENOUGH = 4  # parts, from which fewer than the cores are worth it

# Modules all of whose layers take each image by itself, draw nothing but in dropout, and keep nothing of a pass.
_HOMES = frozenset(
    [
        *(f"locality.networks.{name}" for name in ("dit", "mlp", "resnet", "unet")),
        *(f"locality.networks.parts.{name}" for name in ("group_norm", "label", "quick", "winograd")),
        *(f"diffusers.models.{name}" for name in ("attention_processor", "downsampling", "resnet", "upsampling")),
        *(f"diffusers.models.unets.{name}" for name in ("unet_2d", "unet_2d_blocks")),
    ]
)
# Layers of other modules of which the same is known.
_LAYERS = frozenset(
    [
        "Conv2d",
        "Linear",
        "GroupNorm",
        "LayerNorm",
        "Dropout",
        "Identity",
        "Flatten",
        "Unflatten",
        "Upsample",
        "AvgPool2d",
        "MaxPool2d",
        "SiLU",
        "ReLU",
        "GELU",
        "Tanh",
        "Sigmoid",
        "Sequential",
        "ModuleList",
        "ModuleDict",
        "Timesteps",
        "TimestepEmbedding",
    ]
)
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_inside = local()  # of a thread of `_team`
_teams: dict[int, ThreadPoolExecutor] = {}
_lock = Lock()


def takes_images_apart(net: nn.Module) -> bool:
    """Whether a network's answer to an image depends on that image alone, and several threads may ask it at once.

    True only where every layer is one that is known here: not where a batch is normalised, layers draw (dropout),
    hooks act, or a layer is somebody else's.
    """
    return all(_known(part) for part in net.modules()) and not any(
        tensor._backward_hooks for tensor in net.parameters()
    )


def _known(part: nn.Module) -> bool:
    home, name = type(part).__module__, type(part).__qualname__
    listed = home in _HOMES or (home.startswith(("torch.nn.modules.", "diffusers.models.")) and name in _LAYERS)
    draws = isinstance(part, nn.Dropout) and part.p > 0.0 and part.training
    return listed and not draws and not any(getattr(part, hooks) for hooks in _HOOKS)


def parts_of(images: int, least: int) -> int:
    """Into how many parts to share out images, at least so many in each; 1 where all cores are better at each layer."""
    cores, parts = torch.get_num_threads(), images // least
    return min(cores, parts) if not hasattr(_inside, "yes") and parts >= min(cores, ENOUGH) else 1


def apart(images: int, work: Callable[[int, int], T], parts: int) -> list[T]:
    """What `work` returns for each part of the images, first to last, in order; in parts at once, a core for each.

    What one raises passes through when all have ended.
    """
    cuts = [images * number // parts for number in range(parts + 1)]
    if parts > 1:
        try:
            made = [_team(parts).submit(work, *cut) for cut in pairwise(cuts)]
        except RuntimeError as error:
            if "shutdown" not in str(error):  # the program is ending, and this thread outlives others
                raise
        else:
            wait(made)
            return [each.result() for each in made]
    return [work(*cut) for cut in pairwise(cuts)]


def _team(count: int) -> ThreadPoolExecutor:
    """Threads that stay, with one thread of PyTorch's each.

    PyTorch's number of threads is each thread's own, but a new thread begins with the number that was set last by any.
    So it is set once, when these begin, and then set back.
    """
    with _lock:
        if count not in _teams:
            usual, met = torch.get_num_threads(), Barrier(count)
            team = ThreadPoolExecutor(count, "images", initializer=_begin)
            wait([team.submit(met.wait) for _ in range(count)])  # all have begun
            torch.set_num_threads(usual)
            _teams[count] = team
        return _teams[count]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_teams.clear)  # whose threads stayed behind


def _begin() -> None:
    torch.set_num_threads(1)
    torch.get_num_threads()  # what was set is this thread's from now on
    _inside.yes = True
