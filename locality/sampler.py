"""From noise to images: generators that walk x down a list of noise levels, one Step per level.

    dx / d sigma = (x - x0_hat(x; sigma)) / sigma     (the probability flow; eta > 0 adds noise to it)

A step is yielded as soon as it is ready and nothing is computed ahead, so leaving the loop stops the work.
The noise of image k depends on (seed, k, step) alone: never on the batch, the device or the precision.
Sources: Song, Meng, Ermon 2021 (arXiv 2010.02502); Karras et al. 2022 (arXiv 2206.00364).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from locality.errors import BadInput, UnknownName
from locality.noise import check_seed, unit_noise
from locality.schedule import check_sigma
from locality.types import Denoiser, ImageShape

STARTS = ("ddpm", "edm")


@dataclass(frozen=True, eq=False)
class Step:
    """Noise level `index` of a trajectory: the input x and the estimate x0_hat there, not clipped.

    The last step's x0_hat is the image. No gradients are kept.
    """

    index: int
    sigma: float
    x: Float[Tensor, "b d"]
    x0_hat: Float[Tensor, "b d"]


def start_noise(shape: ImageShape, count: int, seed: int) -> Float[Tensor, "n d"]:
    """Unit noise to start `count` images from, float32; image k depends on (seed, k) alone.

    Raises:
        BadInput: count below 1, or seed outside 0..2^31 - 1.
    """
    if count < 1:
        raise BadInput(f"count={count}: give at least 1 image.")
    return unit_noise(range(count), shape.d, seed)


def initial(z: Float[Tensor, "b d"], sigma: float, start: str) -> Float[Tensor, "b d"]:
    """Where a trajectory from noise level sigma begins, z being unit noise.

    "ddpm": sqrt(1 + sigma^2) z, which is x_t ~ N(0, I) of the variance-preserving process;
    "edm": sigma z.

    Raises:
        UnknownName: another start.
        BadInput: sigma is not a noise level.
    """
    if start not in STARTS:
        raise UnknownName("start", start, STARTS)
    sigma = check_sigma(sigma)
    return (math.sqrt(1.0 + sigma**2) if start == "ddpm" else sigma) * z


def ddim(
    denoiser: Denoiser,
    x_T: Float[Tensor, "b d"],
    sigmas: Sequence[float],
    *,
    clip: bool = True,
    eta: float = 0.0,
    seed: int = 0,
    first: int = 0,
) -> Iterator[Step]:
    """DDIM: one denoising call per noise level. eta = 0 follows the flow, eta = 1 is ancestral (DDPM).

        x_next = x0c + sqrt(sn^2 - s^2) (x - x0_hat) / sigma + s z,   s = eta sn sqrt(1 - sn^2 / sigma^2)

    with sn the next sigma and x0c = x0_hat, clamped to [-1, 1] if `clip`: the noise is read off the estimate
    that is not clipped.

    Args:
        x_T: Start, at noise level sigmas[0]; its dtype and device are kept.
        sigmas: At least two noise levels, strictly decreasing, in units of x0.
        eta: Share of the ancestral noise, in [0, 1].
        seed: Of that noise, 0..2^31 - 1.
        first: Number of the first image of x_T: batches of one run then draw what the whole run would.
    Raises:
        BadInput: sigmas, eta, seed or first are not such; raised at the call.
    Source: Song, Meng, Ermon 2021 (arXiv 2010.02502), equations 12 and 16.
    """
    levels = _check_levels(sigmas)
    if not 0.0 <= eta <= 1.0:
        raise BadInput(f"eta={eta:g}: give a number from 0 (no noise added) to 1 (ancestral sampling).")
    if first < 0:
        raise BadInput(f"first={first}: images are numbered from 0.")
    check_seed(seed)
    return _walk(denoiser, x_T.detach(), levels, partial(_ddim_next, clip=clip, eta=eta, seed=seed, first=first))


def heun(
    denoiser: Denoiser, x_T: Float[Tensor, "b d"], sigmas: Sequence[float], *, clip: bool = True
) -> Iterator[Step]:
    """Heun's second-order steps along the flow: two denoising calls per noise level, one at the last.

        x' = x + (sn - sigma) D(x; sigma),   x_next = x + (sn - sigma) (D(x; sigma) + D(x'; sn)) / 2

    with sn the next sigma and the derivative D(x; sigma) = (x - x0c) / sigma, x0c being x0_hat, clamped to
    [-1, 1] if `clip`.

    Args:
        x_T: Start, at noise level sigmas[0]; its dtype and device are kept.
        sigmas: At least two noise levels, strictly decreasing, in units of x0.
    Raises:
        BadInput: sigmas are not such; raised at the call.
    Source: Karras et al. 2022 (arXiv 2206.00364), algorithm 1.
    """
    return _walk(denoiser, x_T.detach(), _check_levels(sigmas), partial(_heun_next, denoiser=denoiser, clip=clip))


def _walk(
    denoiser: Denoiser, x: Tensor, levels: list[float], advance: Callable[[Step, float], Tensor]
) -> Iterator[Step]:
    step = _step(denoiser, 0, levels[0], x)
    yield step
    for sigma in levels[1:]:
        step = _step(denoiser, step.index + 1, sigma, advance(step, sigma))
        yield step


# Gradients are off inside these calls only: a generator under no_grad would leave it on in its caller's loop.


@torch.no_grad()
def _step(denoiser: Denoiser, index: int, sigma: float, x: Float[Tensor, "b d"]) -> Step:
    return Step(index, sigma, x, denoiser(x, sigma))


@torch.no_grad()
def _ddim_next(step: Step, sigma: float, *, clip: bool, eta: float, seed: int, first: int) -> Float[Tensor, "b d"]:
    added = eta * sigma * math.sqrt(1.0 - (sigma / step.sigma) ** 2)
    kept = math.sqrt(sigma**2 - added**2) / step.sigma
    x = _clipped(step.x0_hat, clip) + kept * (step.x - step.x0_hat)
    if added == 0.0:
        return x
    z = unit_noise(range(first, first + len(x)), x.shape[1], seed, step=step.index + 1)
    return x + added * z.to(x, non_blocking=True)


@torch.no_grad()
def _heun_next(step: Step, sigma: float, *, denoiser: Denoiser, clip: bool) -> Float[Tensor, "b d"]:
    slope = (step.x - _clipped(step.x0_hat, clip)) / step.sigma
    ahead = step.x + (sigma - step.sigma) * slope
    slope_ahead = (ahead - _clipped(denoiser(ahead, sigma), clip)) / sigma
    return step.x + (sigma - step.sigma) / 2 * (slope + slope_ahead)


def _clipped(x0_hat: Tensor, clip: bool) -> Tensor:
    return x0_hat.clamp(-1.0, 1.0) if clip else x0_hat


def _check_levels(sigmas: Sequence[float]) -> list[float]:
    levels = [check_sigma(sigma) for sigma in sigmas]
    if len(levels) < 2:
        raise BadInput(f"{len(levels)} noise levels given: sampling needs at least 2, from high to low.")
    for above, below in itertools.pairwise(levels):
        if not below < above:
            raise BadInput(f"sigma={below:.9g} follows sigma={above:.9g}: noise levels must fall from step to step.")
    return levels
