"""Whether loops compiled by Numba run here; loading it takes half a second, so it is loaded when first asked."""

from __future__ import annotations

from functools import cache
from types import ModuleType

import torch
from jaxtyping import Float
from torch import Tensor

from locality.denoisers.parts.bank import Bank


@cache
def kernels() -> ModuleType | None:
    """The compiled loops; None where Numba is missing or does not run."""
    try:
        import locality.denoisers.parts.walk_kernels as loops
    except (ImportError, OSError):
        return None
    return loops


def processor() -> tuple[int, int]:
    """As `vectors.processor`, where `kernels` are."""
    from locality import vectors

    found: tuple[int, int] = vectors.processor()
    return found


def holds_bytes(bank: Bank) -> bool:
    """Whether compiled loops take its images: of 8 bits, on a CPU, where Numba runs."""
    return bank.is_8bit and bank.device.type == "cpu" and kernels() is not None


def runs_compiled(bank: Bank, x: Float[Tensor, "b d"]) -> bool:
    """Whether they take this call too: x float32, and no gradient asked for."""
    return x.dtype == torch.float32 and not (x.requires_grad and torch.is_grad_enabled()) and holds_bytes(bank)
