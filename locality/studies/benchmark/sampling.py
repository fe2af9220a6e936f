"""How a benchmark draws images: DDIM along the DDPM grid, image k from a noise that the seed and k decide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from locality.noise import ASIDE, unit_noise
from locality.sampler import initial
from locality.schedule import noise_grid
from locality.types import ImageShape

CHUNK = 16  # images of a cell


@dataclass(frozen=True)
class SamplingConfig:
    """Steps, clipping and seed: with a model, all that its images depend on."""

    steps: int
    clip: bool
    seed: int

    def sigmas(self) -> list[float]:
        """Decreasing, in units of x0."""
        return noise_grid("ddpm", self.steps)

    def key(self) -> dict[str, Any]:
        how = {"grid": "ddpm", "sampler": "ddim", "start": "ddpm", "eta": 0.0}
        return {**how, "steps": self.steps, "clip": self.clip, "seed": self.seed}

    def start(self, images: range, shape: ImageShape) -> Float[Tensor, "k d"]:
        """Where images `images` begin."""
        return initial(unit_noise(images, shape.d, self.seed), self.sigmas()[0], "ddpm")


def chunks(count: int) -> list[range]:
    """The images of each cell; the last may have fewer."""
    return [range(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]


def held_out_noise(images: range, shape: ImageShape, seed: int) -> Float[Tensor, "k d"]:
    """Unit noise of held-out images, the same at every noise level and for every model."""
    return unit_noise(images, shape.d, seed, step=ASIDE)
