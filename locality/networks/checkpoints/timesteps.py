"""Timesteps of checkpoints made elsewhere: the labels t of a variance-preserving process, by noise level.

x_t = sqrt(alpha_bar_t) x0 + sqrt(1 - alpha_bar_t) eps = sqrt(alpha_bar_t) x
sigma_t^2 = (1 - alpha_bar_t) / alpha_bar_t
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from locality.errors import BadInput, first_line
from locality.networks.parts.library import diffusers_class
from locality.schedule import HIGHEST

PREDICTIONS = {"epsilon": "eps", "v_prediction": "v", "sample": "x0"}  # diffusers' names and those used here
DDPM = {"beta_schedule": "linear", "beta_start": 1e-4, "beta_end": 0.02, "num_train_timesteps": 1000}
_DEFAULTS: dict[str, Any] = {**DDPM, "trained_betas": None, "rescale_betas_zero_snr": False}
_SCHEDULERS = (  # those of diffusers whose noise is variance-preserving, with the options above
    "DDPMScheduler", "DDPMParallelScheduler", "DDIMScheduler", "DDIMParallelScheduler", "DDIMInverseScheduler",
    "PNDMScheduler", "DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler", "DEISMultistepScheduler",
    "UniPCMultistepScheduler", "EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler", "LMSDiscreteScheduler",
    "HeunDiscreteScheduler",
)  # fmt: skip
_NOTHING = 1e-12  # an alpha_bar that leaves nothing of the image
_NEAR = 1e-3  # how far outside, in ln sigma, is rounding: diffusers keeps alpha_bar in float32


@dataclass(frozen=True, eq=False)
class Timeline:
    """ln sigma of every timestep, rising, float64; `blank`: one more follows, which leaves nothing of the image."""

    ln_sigmas: Float[Tensor, " t"]
    blank: bool = False

    @property
    def lowest(self) -> float:
        """sigma of the first timestep, in units of x0."""
        return float(self.ln_sigmas[0].exp())

    @property
    def highest(self) -> float:
        """sigma of the last timestep that leaves some of the image, in units of x0."""
        return float(self.ln_sigmas[-1].exp())

    def t_of(self, sigma: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
        """The timestep of each noise level, linear in ln sigma between whole ones; float32.

        Raises:
            BadInput: a noise level outside the schedule: the network never saw one like it.
        """
        grid, target = self.ln_sigmas.to(sigma.device), sigma.double().log()
        last = (sigma >= 0.999 * HIGHEST) & self.blank
        if bool((((target < grid[0] - _NEAR) | (target > grid[-1] + _NEAR)) & ~last).any()):
            far = float(max(sigma.detach().cpu(), key=lambda value: abs(float(value.log()) - float(grid.mean()))))
            raise BadInput(
                f"sigma={far:.4g} is outside the noise this network was trained on, {self.lowest:.4g} to "
                f"{self.highest:.4g} (its scheduler's timesteps 0 to {len(grid) - 1}). Choose a level between, or "
                "sample along its own: --grid checkpoint."
            )
        above = torch.searchsorted(grid, target).clamp(1, len(grid) - 1)
        low, high = grid[above - 1], grid[above]
        t = above - 1 + ((target - low) / (high - low)).clamp(0.0, 1.0)
        return torch.where(last, torch.full_like(t, float(len(grid))), t).float()


def schedule_of(config: Mapping[str, Any], where: str) -> tuple[str, str]:
    """What the raw network predicts, by its name here, and the options that fix the noise, as JSON.

    Args:
        config: a scheduler's configuration as diffusers writes it.
        where: the file, for messages.
    Raises:
        BadInput: a scheduler of another kind of noise, or of an unknown prediction.
    """
    kind, predicts = config.get("_class_name"), config.get("prediction_type", "epsilon")
    if kind not in _SCHEDULERS:
        raise BadInput(
            f"{where}: scheduler {kind!r} has no timesteps of a variance-preserving process. Known: {_SCHEDULERS[0]}, "
            f"{_SCHEDULERS[2]} and {len(_SCHEDULERS) - 2} others of diffusers with beta_schedule and prediction_type."
        )
    if predicts not in PREDICTIONS:
        raise BadInput(f"{where}: prediction_type={predicts!r} is not known. Known: {', '.join(PREDICTIONS)}.")
    if config.get("use_flow_sigmas"):
        raise BadInput(f"{where}: use_flow_sigmas is set: flow matching has other noise than alpha_bar says.")
    options = json.dumps({key: config.get(key, default) for key, default in _DEFAULTS.items()}, sort_keys=True)
    try:
        timeline(options)
    except (TypeError, ValueError, RuntimeError, NotImplementedError, OverflowError) as error:
        raise BadInput(f"{where} describes no usable schedule ({first_line(error)}).") from None
    return PREDICTIONS[predicts], options


@functools.lru_cache(maxsize=32)
def timeline(options: str) -> Timeline:
    """The noise levels of a schedule's options (JSON, see `schedule_of`), by diffusers' own formulas.

    Timesteps without noise have no sigma and are left out; of one without any signal (zero terminal SNR) it is told.

    Raises:
        ValueError: noise that does not rise with the timestep. TypeError and others: options that are none.
    """
    scheduler = diffusers_class("DDPMScheduler")(**json.loads(options))
    alpha_bar = scheduler.alphas_cumprod.double()
    ln_sigmas = 0.5 * (torch.log1p(-alpha_bar) - torch.log(alpha_bar))
    blank = bool(alpha_bar[-1] <= _NOTHING)
    ln_sigmas = ln_sigmas[(alpha_bar > _NOTHING) & (alpha_bar < 1.0)]
    if len(ln_sigmas) < 2 or not bool((ln_sigmas.diff() > 0).all()):
        raise ValueError("its noise does not rise with the timestep")
    return Timeline(ln_sigmas, blank)
