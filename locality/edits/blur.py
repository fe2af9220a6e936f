"""Blur: neighbours share their values, so every field grows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from locality.edits.parts.linear import LinearEdit, pixels
from locality.edits.parts.spec import EDITS
from locality.specs import param
from locality.types import ImageShape


@EDITS.register("blur")
@dataclass(frozen=True)
class Blur(LinearEdit):
    """Gaussian blur along rows and columns, mirrored at the border."""

    heading: ClassVar[str] = "Blur"
    about: ClassVar[str] = r"x_0' = G_r\,x_0,\quad G_r \text{ a Gaussian blur}:\quad S' = G_r S G_r^{\!\top}"
    main: ClassVar[str] = "radius"
    symbol: ClassVar[str] = "r"
    sweep_end: ClassVar[float] = 4.0
    place: ClassVar[int] = 7
    examples: ClassVar[tuple[str, ...]] = ("blur:radius=1.3", "blur:radius=0")
    dial: ClassVar[str] = "radius"
    named: ClassVar[tuple[str, ...]] = ("radius",)

    radius: float = param(1.0, help="Standard deviation r of the Gaussian.", low=0.0, high=32.0, unit="pixels")

    @property
    def dial_range(self) -> tuple[float, float]:
        return 0.0, 8.0

    def linear(self, x: Float[Tensor, "k d"], shape: ImageShape) -> Float[Tensor, "k d"]:
        down, across = (kernel(side, self.radius).to(x) for side in (shape.h, shape.w))
        return (down @ pixels(x, shape) @ across.T).flatten(1)


def kernel(side: int, radius: float) -> Float64[Tensor, "side side"]:
    """Row p holds the weights of the blurred pixel p; rows sum to 1, as do columns: what leaves comes back mirrored."""
    if radius == 0.0:
        return torch.eye(side, dtype=torch.float64)
    reach = int(6 * radius) + 1
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float64)
    weights = torch.exp(-0.5 * (offsets / radius) ** 2)
    made = torch.zeros(side, side, dtype=torch.float64)
    places = (torch.arange(side)[:, None] + offsets.long()) % (2 * side)
    made.scatter_add_(1, torch.where(places < side, places, 2 * side - 1 - places), weights.expand(side, -1))
    return made / weights.sum()
