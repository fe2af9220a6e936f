"""What a draw of images is: how it is made, what comes out, and the event after each step."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from locality.errors import BadInput
from locality.sampler import STARTS
from locality.schedule import GRIDS, noise_grid
from locality.specs import Spec, param
from locality.store import Artifact
from locality.types import ImageShape
from locality.work import Progress

SAMPLERS = ("ddim", "heun")


@dataclass(frozen=True)
class Sampling(Spec):
    """How images are generated; image k depends on the seed and k, not on how many are generated with it."""

    count: int = param(8, help="Images to generate.", low=1, high=4096)
    steps: int = param(10, help="Sampling steps from noise to image.", low=2, high=1000)
    seed: int = param(0, help="Seed of the noise; the same for every model compared.", low=0, high=2**31 - 1)
    grid: str = param("ddpm", help="Noise levels: DDPM's leading grid, EDM's, or uniform in ln sigma.", choices=GRIDS)
    sampler: str = param("ddim", help="DDIM, or Heun's second-order steps.", choices=SAMPLERS)
    eta: float = param(0.0, help="Noise added in each DDIM step: 0 none, 1 as much as DDPM.", low=0.0, high=1.0)
    clip: bool = param(True, help="Clamp the estimate to [-1, 1] on the way; the result is never clamped.")
    start: str = param("ddpm", help="x_T = sqrt(1 + sigma^2) z as DDPM's, or sigma z as EDM's.", choices=STARTS)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sampler == "heun" and self.eta > 0.0:
            raise BadInput(f"eta={self.eta:g}: heun adds no noise. Give eta=0, or the sampler ddim.")

    def sigmas(self) -> list[float]:
        """The noise levels, decreasing, in units of x0."""
        return noise_grid(self.grid, self.steps)


OWN = "checkpoint"  # the grid of a checkpoint's own steps


@dataclass(frozen=True)
class OwnSampling(Sampling):
    """How images are generated, along a checkpoint's own steps too."""

    grid: str = param(
        "ddpm",
        help="Noise levels: DDPM's leading grid, EDM's, uniform in ln sigma, or the checkpoint's own steps.",
        choices=(*GRIDS, OWN),
    )

    def sigmas(self) -> list[float]:
        if self.grid == OWN:
            raise BadInput(f"grid={OWN} is a network's own: only with one is it known.")
        return super().sigmas()


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Every step of a draw: `x` and the estimate `x0_hat` there, float32, neither clamped; sigma by step.

    `seconds` is what the steps took when they were made, without the fit.
    """

    x: Float[Tensor, "s n d"]
    x0_hat: Float[Tensor, "s n d"]
    sigmas: list[float]
    shape: ImageShape
    seconds: float

    @property
    def image(self) -> Float[Tensor, "n d"]:
        """The images: the last estimates."""
        return self.x0_hat[-1]


@dataclass(frozen=True, eq=False, kw_only=True)
class Stepped(Progress):
    """A finished step: its number, x and x0_hat at its noise level, float32 on the CPU."""

    index: int
    x: Float[Tensor, "n d"]
    x0_hat: Float[Tensor, "n d"]


def pack(trajectory: Trajectory) -> Artifact:
    """A trajectory as an artefact."""
    arrays = {"x": trajectory.x, "x0_hat": trajectory.x0_hat}
    meta = {"sigmas": trajectory.sigmas, "shape": list(trajectory.shape), "seconds": trajectory.seconds}
    return Artifact(arrays, meta)


def unpack(kept: Artifact) -> Trajectory:
    """The trajectory of an artefact made by `pack`."""
    meta = kept.meta
    shape = ImageShape(*meta["shape"])
    return Trajectory(kept.arrays["x"], kept.arrays["x0_hat"], meta["sigmas"], shape, float(meta["seconds"]))


def stepped(trajectory: Trajectory, index: int) -> Stepped:
    """The event after a step; its note tells what comes next."""
    later = trajectory.sigmas[index + 1 :]
    note = f"Sampling, sigma {later[0]:.3g}" if later else "Sampled"
    x, x0_hat = trajectory.x[index], trajectory.x0_hat[index]
    return Stepped(index + 1.0, len(trajectory.sigmas), note, index=index, x=x, x0_hat=x0_hat)
