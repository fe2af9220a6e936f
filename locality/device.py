"""Where and how large: the only place for memory knobs. No knob changes a result."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import torch

from locality.errors import BadInput


@dataclass(frozen=True)
class Compute:
    """Device and chunk sizes of a computation.

    Args:
        device: "cpu", "cuda", "mps", ...
        images: images per chunk of a streamed statistic.
        draws: (image, noise) pairs per batch of a Jacobian.
        memory: bytes for the working arrays of one denoising call.
        decomposition: bytes for the eigendecomposition of a dataset; None for what is free on this machine.
    """

    device: str = "cpu"
    images: int = 8192
    draws: int = 16
    memory: int = 512 * 1024**2
    decomposition: int | None = None

    def __post_init__(self) -> None:
        for knob in ("images", "draws", "memory"):
            if getattr(self, knob) < 1:
                raise BadInput(f"Compute.{knob}={getattr(self, knob)}: give at least 1.")
        if self.decomposition is not None and self.decomposition < 1:
            raise BadInput(f"Compute.decomposition={self.decomposition}: give at least 1.")


def usable_device(name: str) -> str:
    """The name of a device that works here; "auto" is the best one.

    Raises:
        BadInput: no such device on this machine.
    """
    name = best_device() if name == "auto" else name
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        raise BadInput(f"--device {name!r} cannot be used here ({reason}). Try auto or cpu.") from None
    return name


def fast_integers(kind: str) -> bool:
    """Whether products of 8-bit integers are fast on a kind of device: tensor cores, or a CPU with AVX-512 VNNI.

    Elsewhere PyTorch forms them one by one: 45 times the time of exact float products on an AVX2 machine.
    """
    return kind == "cuda" or (kind == "cpu" and bool(torch.cpu._is_vnni_supported()))


def fast_bfloat16(kind: str) -> bool:
    """Whether a kind of device computes in bfloat16 itself; one that does not takes 17 times as long as in float32."""
    if kind == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return kind == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def machine_facts() -> dict[str, Any]:
    """System, processor and number of cores, as results name them."""
    return {"system": platform.system(), "processor": platform.machine(), "cores": os.cpu_count()}


def versions(*packages: str) -> dict[str, str]:
    """Versions of Python and of some packages, as results name them."""
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def best_device() -> str:
    """The name of the GPU where there is one, else of the CPU."""
    return "cuda" if torch.cuda.is_available() else "cpu"
