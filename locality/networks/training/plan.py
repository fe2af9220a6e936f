"""How a training runs and how long: everything about it but the network."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from locality.errors import BadInput
from locality.specs import Spec, param


@dataclass(frozen=True)
class TrainSpec(Spec):
    """Everything about a training but its length and the network."""

    batch: int = param(64, help="Images per step.", low=1, high=4096)
    rate: float = param(1e-3, help="Peak learning rate of AdamW; cosine decay to zero.", low=1e-6, high=1.0)
    warmup: int = param(10_000, help="Images over which the rate rises.", low=1, high=10_000_000)
    flips: bool = param(False, help="Mirror half of the images left to right.")
    ema: float = param(0.05, help="Half-life of the weight average, as a share of the images seen.", low=0.0, high=1.0)
    ln_mean: float = param(-0.6, help="Mean of ln sigma in training.", low=-10.0, high=10.0)
    ln_std: float = param(1.3, help="Standard deviation of ln sigma.", low=0.01, high=10.0)
    uniform: float = param(0.15, help="Share of draws log-uniform over [0.005, 80] instead.", low=0.0, high=1.0)
    bfloat16: bool = param(True, help="Run the network in bfloat16 where the device has it.")
    seed: int = param(0, help="Seed of weights, order, noise and flips.", low=0, high=2**31 - 1)
    ambient: float = param(
        0.0,
        help="From this sigma up, train on copies noised once at it, below on clean images (Shah et al. 2025); 0: off.",
        low=0.0,
        high=80.0,
    )

    def key(self) -> dict[str, Any]:
        """As every spec's; without `ambient` where it is off, so that trainings from before it can go on."""
        return {name: value for name, value in super().key().items() if name != "ambient" or value}


@dataclass(frozen=True)
class Budget:
    """How long to train: a number of images or of minutes, exactly one of the two."""

    images: int | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        given = [value for value in (self.images, self.minutes) if value is not None]
        if len(given) != 1 or not math.isfinite(given[0]) or given[0] <= 0:
            raise BadInput("Give the length of the training as --images N or --minutes M, one of them, positive.")

    def fraction(self, images: int, seconds: float) -> float:
        """Share of the budget used, in [0, 1]."""
        used = images / self.images if self.images else seconds / (60.0 * (self.minutes or 1.0))
        return min(used, 1.0)
