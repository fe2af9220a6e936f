"""How a training runs and how long: everything about it but the network."""

from __future__ import annotations

import math
from dataclasses import dataclass

from locality.errors import BadInput
from locality.specs import Spec, param

SCHEDULES, OPTIMISERS = ("cosine", "inverse_sqrt"), ("adamw", "muon")


@dataclass(frozen=True)
class TrainSpec(Spec):
    """Everything about a training but its length and the network."""

    batch: int = param(64, help="Images per step.", low=1, high=4096)
    rate: float = param(1e-3, help="Peak learning rate.", low=1e-6, high=1.0)
    warmup: int = param(10_000, help="Length of the learning-rate warm-up in images.", low=1, high=10_000_000)
    flips: bool = param(False, help="Mirror half of the images left to right.")
    ema: float = param(0.05, help="Half-life of the weight average, as a share of the images seen.", low=0.0, high=1.0)
    ln_mean: float = param(-0.6, help="Mean of ln sigma in training.", low=-10.0, high=10.0)
    ln_std: float = param(1.3, help="Standard deviation of ln sigma.", low=0.01, high=10.0)
    uniform: float = param(0.15, help="Share of noise levels drawn log-uniformly from [0.005, 80].", low=0.0, high=1.0)
    bfloat16: bool = param(True, help="Run the network in bfloat16 where the device has it.")
    seed: int = param(0, help="Seed of weights, order, noise and flips.", low=0, high=2**31 - 1)
    ambient: float = param(
        0.0,
        help="From this sigma up, train on copies noised once at it, below on clean images (Shah et al. 2025); 0: off.",
        low=0.0,
        high=80.0,
        later=True,
    )
    schedule: str = param(
        "cosine", help="Decay of the rate: to 0 at the end, or open-ended.", choices=SCHEDULES, later=True
    )
    plateau: int = param(
        100_000, help="Images at the full rate before inverse_sqrt decays it.", low=1, high=10_000_000_000, later=True
    )
    optimiser: str = param(
        "adamw", help="Optimiser of the weight matrices; AdamW for all else.", choices=OPTIMISERS, later=True
    )

    @property
    def open_ended(self) -> bool:
        """Whether the rate does not depend on the length of the training."""
        return self.schedule != "cosine"

    def rate_at(self, images: int, used: float) -> float:
        """Learning rate of the step after `images`, `used` being the share of the budget used.

        The rise is linear. `inverse_sqrt` is Karras et al. 2024 (arXiv 2312.02696), equation 67.
        """
        rise = min(1.0, (images + self.batch) / self.warmup)
        if self.open_ended:
            return self.rate * rise / math.sqrt(max(1.0, images / self.plateau))
        return self.rate * rise * 0.5 * (1 + math.cos(math.pi * used))


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
