"""Raw pixels as features: no network, and as many features as an image has values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class PixelFeatures:
    """The values of an image as they are, neither clamped nor rounded."""

    name: str = "pixels"

    def key(self) -> dict[str, Any]:
        return {"features": self.name}

    def of(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        return x.float().cpu()

    def probabilities(self, x: Float[Tensor, "n d"]) -> None:
        return None
