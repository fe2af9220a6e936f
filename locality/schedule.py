"""Noise levels. sigma is the one noise variable; t and alpha-bar are labels made here.

x = x0 + sigma * eps,   x_t = sqrt(alpha_bar) x,   sigma = sqrt((1 - alpha_bar) / alpha_bar)

`noise_grid` names the lists of sigmas that sampling walks down.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from locality.errors import BadInput, UnknownName

DDPM_STEPS = 1000
GRIDS = ("ddpm", "edm", "log")
EDM_LOW, EDM_HIGH = 0.002, 80.0

LOWEST, HIGHEST = 1e-6, 1e6  # beyond, squares and products leave the range of the numbers used


def check_sigma(sigma: float) -> float:
    """Return sigma, or raise BadInput unless it is in [1e-6, 1e6] (units of x0)."""
    if not LOWEST <= sigma <= HIGHEST:
        raise BadInput(f"sigma={sigma:g} is not a noise level. Give a positive number, {LOWEST:g} to {HIGHEST:g}.")
    return float(sigma)


def nearest_level(sigmas: Sequence[float], sigma: float) -> int:
    """Index of the noise level nearest in ln sigma, the first of equals; below 1e-9 nothing is nearer than it."""
    target = math.log(max(sigma, 1e-9))
    return min(range(len(sigmas)), key=lambda i: abs(math.log(sigmas[i]) - target))


def ddpm_alpha_bar() -> Float[Tensor, " t"]:
    """alpha_bar_t of the linear DDPM schedule, t = 0..999: beta from 1e-4 to 2e-2, float64.

    Source: Ho, Jain, Abbeel 2020 (arXiv 2006.11239), section 4.
    """
    betas = torch.linspace(1e-4, 2e-2, DDPM_STEPS, dtype=torch.float64)
    return torch.cumprod(1.0 - betas, dim=0)


def sigma_of(alpha_bar: float) -> float:
    """Noise level of a signal share in (0, 1): sqrt((1 - alpha_bar) / alpha_bar)."""
    if not 0.0 < alpha_bar < 1.0:
        raise BadInput(f"alpha_bar={alpha_bar:g} is outside (0, 1).")
    return math.sqrt((1.0 - alpha_bar) / alpha_bar)


def t_of(sigma: float) -> float:
    """DDPM timestep whose noise level is sigma, linear in ln sigma between steps; in [0, 999]."""
    bar = ddpm_alpha_bar()
    ln_sigmas = 0.5 * (torch.log1p(-bar) - torch.log(bar))
    target = torch.tensor(math.log(check_sigma(sigma)), dtype=torch.float64)
    above = int(torch.searchsorted(ln_sigmas, target))
    if above == 0:
        return 0.0
    if above == DDPM_STEPS:
        return float(DDPM_STEPS - 1)
    low, high = float(ln_sigmas[above - 1]), float(ln_sigmas[above])
    return above - 1 + (float(target) - low) / (high - low)


def ddpm_grid(steps: int) -> list[float]:
    """Decreasing sigmas of the "leading" DDPM grid: t = 0, T/steps, 2T/steps, ... downwards."""
    if not 1 <= steps <= DDPM_STEPS:
        raise BadInput(f"steps={steps}: the DDPM grid has 1..{DDPM_STEPS} steps.")
    bar = ddpm_alpha_bar()
    stride = DDPM_STEPS // steps
    return [sigma_of(float(bar[i * stride])) for i in reversed(range(steps))]


def log_grid(low: float, high: float, count: int) -> list[float]:
    """`count` sigmas from low to high, both included, uniform in ln sigma."""
    low, high = check_sigma(low), check_sigma(high)
    if count == 1:
        return [low]
    ratio = math.log(high / low) / (count - 1)
    return [low * math.exp(ratio * i) for i in range(count)]


def between(levels: Sequence[float], known: Float[Tensor, " s *f"], sigma: float) -> Float[Tensor, " *f"]:
    """What is known at ascending noise levels, at another one: linear in ln sigma, constant outside of them."""
    above = min(max(bisect.bisect(levels, check_sigma(sigma)), 1), len(levels) - 1)
    low, high = math.log(levels[above - 1]), math.log(levels[above])
    part = min(max((math.log(sigma) - low) / (high - low), 0.0), 1.0)
    return torch.lerp(known[above - 1], known[above], part)


def edm_grid(steps: int, low: float = EDM_LOW, high: float = EDM_HIGH, rho: float = 7.0) -> list[float]:
    """Decreasing sigmas from high to low, both included, uniform in sigma^(1/rho).

        sigma_i = (high^(1/rho) + i/(steps - 1) (low^(1/rho) - high^(1/rho)))^rho

    Raises:
        BadInput: steps outside 2..1000, low not below high, or rho not positive and finite.
    Source: Karras et al. 2022 (arXiv 2206.00364), equation 5.
    """
    _check_steps(steps)
    low, high = check_sigma(low), check_sigma(high)
    if not low < high:
        raise BadInput(f"low={low:g} is not below high={high:g}: noise levels must fall from high to low.")
    if not 0.0 < rho < math.inf:
        raise BadInput(f"rho={rho:g}: give a positive number; larger puts more steps at low noise.")
    top, bottom = high ** (1.0 / rho), low ** (1.0 / rho)
    return [(top + i / (steps - 1) * (bottom - top)) ** rho for i in range(steps)]


def noise_grid(name: str, steps: int) -> list[float]:
    """Decreasing sigmas to sample along: "ddpm", "edm" (80 -> 0.002) or "log" (80 -> 0.002, uniform in ln sigma).

    Raises:
        UnknownName: another grid.
        BadInput: steps outside 2..1000.
    """
    _check_steps(steps)
    if name == "ddpm":
        return ddpm_grid(steps)
    if name == "edm":
        return edm_grid(steps)
    if name == "log":
        return log_grid(EDM_LOW, EDM_HIGH, steps)[::-1]
    raise UnknownName("noise grid", name, GRIDS)


def _check_steps(steps: int) -> None:
    if not 2 <= steps <= DDPM_STEPS:
        raise BadInput(f"steps={steps}: sampling takes 2..{DDPM_STEPS} steps; 10 is the usual number.")
