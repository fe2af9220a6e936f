"""A device that is not there: torch's `meta` has shapes and types without values, and what a step must not do shows.

Reading a value (`item`, `tolist`, `bool`, a mask as index) is refused by torch; tensors of two devices that meet in one
operation, and copies from one device to another, are seen here.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_COPIES = (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)


class Watch(TorchDispatchMode):
    """`copies` from device to device and `meetings` of two devices, each with the line of the library it is in."""

    def __init__(self) -> None:
        super().__init__()
        self.copies: list[str] = []
        self.meetings: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if func in _COPIES:
            source, target = (given[0], out) if func is _COPIES[0] else (given[1], out)
            if source.device != target.device:
                self.copies.append(f"{source.device} to {target.device}, {tuple(source.shape)}: {_line()}")
        elif len({tensor.device for tensor in given if tensor.ndim or tensor.device.type != "cpu"}) > 1:
            self.meetings.append(f"{func}: {_line()}")
        return out


def _line() -> str:
    """The innermost line of the library that is being run."""
    frames = [frame for frame in traceback.extract_stack() if "/locality/" in frame.filename]
    return f"{frames[-1].filename.rpartition('/')[2]}: {frames[-1].line}" if frames else "outside of the library"


def without_values(work: Callable[[], object]) -> Watch:
    """Run work whose tensors are on `meta`."""
    with Watch() as watch, torch.no_grad():
        work()
    return watch
