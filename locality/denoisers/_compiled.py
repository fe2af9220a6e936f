"""Whether loops compiled by Numba run here; loading it takes half a second, so it is loaded when first asked."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from types import ModuleType

import torch
from jaxtyping import Float
from torch import Tensor

from locality.denoisers._bank import Bank


@cache
def kernels() -> ModuleType | None:
    """The compiled loops; None where Numba is missing or does not run."""
    try:
        return import_module(f"{__package__}._walk_kernels")
    except (ImportError, OSError):
        return None


def runs_compiled(bank: Bank, x: Float[Tensor, "b d"]) -> bool:
    """Whether compiled loops take this call: 8-bit images on a CPU, x float32, and no gradient asked for."""
    data = bank.data
    plain = data.dtype == torch.uint8 and data.device.type == "cpu" and x.dtype == torch.float32
    return plain and not (x.requires_grad and torch.is_grad_enabled()) and kernels() is not None
