"""Where and how large: the only place for memory knobs. No knob changes a result."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from locality.errors import BadInput


@dataclass(frozen=True)
class Compute:
    """Device and chunk sizes of a computation.

    Args:
        device: "cpu", "cuda", "mps", ...
        images: images per chunk of a streamed statistic.
        draws: (image, noise) pairs per batch of a Jacobian.
    """

    device: str = "cpu"
    images: int = 8192
    draws: int = 16

    def __post_init__(self) -> None:
        for knob in ("images", "draws"):
            if getattr(self, knob) < 1:
                raise BadInput(f"Compute.{knob}={getattr(self, knob)}: give at least 1.")


def best_device() -> str:
    """"cuda" where there is one, else "cpu"."""
    return "cuda" if torch.cuda.is_available() else "cpu"
