"""The five facts that turn somebody's network F into a denoiser.

With u = a x + b the image in the network's own range of values ([-1, 1] has a = 1, b = 0; [0, 1] has a = b = 1/2), and
s = a sigma the noise there,

    takes      "scaled"  F sees sqrt(alpha_bar) u, alpha_bar = 1 / (1 + s^2), as in DDPM; "plain"  F sees u
    schedule   which noise a step has: "linear" (DDPM), "scaled_linear", "cosine", a list "alpha_bar" or "sigma" in the
               order of the steps, "continuous" (any s in a range), or "blind" (F is not told)
    label      what F is told: "index" t (whole), "time" t (may lie between two), "fraction" t / T, "sigma" s,
               "log_sigma" ln s, or "none"; t counts from `offset`
    gives      what F predicts (`outputs`): eps, x0, v, residual u - u0, score, or the negative: -eps, -v, -residual
    classes    how many classes F is told of as its third argument; 0 for none. `image_class` is the one that is
               asked for; without it the mean over all
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from locality.errors import BadInput, UnknownName
from locality.networks.checkpoints.timesteps import Timeline
from locality.schedule import HIGHEST

TAKES = ("scaled", "plain")
SCHEDULES = ("linear", "scaled_linear", "cosine", "alpha_bar", "sigma", "continuous", "blind")
LABELS = ("index", "time", "fraction", "sigma", "log_sigma", "none")
GIVES = ("eps", "-eps", "x0", "v", "-v", "residual", "-residual", "score")
_FORMULAS = SCHEDULES[:3]
_LISTS = ("alpha_bar", "sigma")
_MOST = 10**5  # steps of a schedule


@dataclass(frozen=True)
class Facts:
    """See the module. Raises BadInput where the facts contradict each other."""

    takes: str = "scaled"
    values: tuple[float, float] = (-1.0, 1.0)
    schedule: str = "linear"
    steps: int = 1000
    betas: tuple[float, float] = (1e-4, 0.02)
    levels: tuple[float, ...] = ()
    sigma_range: tuple[float, float] | None = None
    label: str = "index"
    offset: int = 0
    gives: str = "eps"
    classes: int = 0
    image_class: int | None = None

    def __post_init__(self) -> None:
        known = {"takes": TAKES, "schedule": SCHEDULES, "label": LABELS, "gives": GIVES}
        for fact, choices in known.items():
            if getattr(self, fact) not in choices:
                raise UnknownName(f"value of {fact}=", str(getattr(self, fact)), choices)
        if problem := self._problem():
            raise BadInput(f"The facts about this network do not go together: {problem}.")
        _ = self.timeline  # a list that is no schedule is found here

    def _problem(self) -> str:
        low, high = self.values
        ranged = self.schedule in ("continuous", "blind")
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            return f"values={self.values} are no range: give (lowest, highest), such as (0, 1)"
        if (self.schedule == "blind") != (self.label == "none"):
            return "label='none' and schedule='blind' mean the same network: state both or neither"
        if self.label in ("index", "time", "fraction") and ranged:
            return f"schedule='continuous' has no steps to count: label={self.label!r} should be 'sigma' or 'log_sigma'"
        if ranged and not self.sigma_range:
            return f"schedule={self.schedule!r} needs sigma_range=(lowest, highest), in units of the network's images"
        if self.sigma_range and not 0 < self.sigma_range[0] < self.sigma_range[1] <= HIGHEST:
            return f"sigma_range={self.sigma_range} is no range of positive numbers"
        if (self.schedule in _LISTS) != bool(self.levels):
            return f"levels, a number a step, is for schedule='alpha_bar' or 'sigma'; here schedule={self.schedule!r}"
        if not 2 <= self.steps <= _MOST:
            return f"steps={self.steps} is outside 2..{_MOST}"
        if self.image_class is not None and not 0 <= self.image_class < self.classes:
            return f"class={self.image_class} is none of the {self.classes} classes" + (
                f", 0 to {self.classes - 1}" if self.classes else ": classes=0 says that it is told of none"
            )
        return ""

    @property
    def scale(self) -> float:
        """a: how much of the network's units one unit of images in [-1, 1] is."""
        return (self.values[1] - self.values[0]) / 2.0

    @property
    def shift(self) -> float:
        """b: the network's value of grey."""
        return (self.values[1] + self.values[0]) / 2.0

    @cached_property
    def timeline(self) -> Timeline | None:
        """The noise level of every step in units of x0, rising; None where noise has no steps. Raises BadInput."""
        if self.schedule in ("continuous", "blind"):
            return None
        ln_sigmas = self._ln_sigmas
        if self.falls:
            ln_sigmas = ln_sigmas.flip(0)
        if not bool(ln_sigmas.isfinite().all()) or not bool((ln_sigmas.diff() > 0).all()):
            raise BadInput(
                f"schedule={self.schedule!r}: its noise does not rise, or fall, from step to step. "
                "alpha_bar lies between 0 and 1, sigma above 0; leave out steps without noise or without any image."
            )
        return Timeline(ln_sigmas - math.log(self.scale))

    @property
    def falls(self) -> bool:
        """Whether the network counts its steps from the noisiest one."""
        return bool(self._ln_sigmas[0] > self._ln_sigmas[-1])

    @cached_property
    def _ln_sigmas(self) -> Float[Tensor, " t"]:
        """In the network's units, in its order."""
        if self.schedule == "sigma":
            return torch.tensor(self.levels, dtype=torch.float64).log()
        alpha_bar = torch.tensor(self.levels, dtype=torch.float64) if self.levels else self._alpha_bar()
        return 0.5 * (torch.log1p(-alpha_bar) - alpha_bar.log())

    def _alpha_bar(self) -> Float[Tensor, " t"]:
        """Ho et al. 2020 (linear), Rombach et al. 2022 (scaled_linear), Nichol and Dhariwal 2021, eq. 17 (cosine)."""
        if self.schedule == "cosine":
            t = torch.arange(self.steps + 1, dtype=torch.float64) / self.steps
            f = torch.cos((t + 0.008) / 1.008 * math.pi / 2).square()
            return torch.cumprod(1 - (1 - f[1:] / f[:-1]).clamp(max=0.999), dim=0)
        power = 1.0 if self.schedule == "linear" else 0.5
        first, last = (beta**power for beta in self.betas)
        betas = torch.linspace(first, last, self.steps, dtype=torch.float64) ** (1 / power)
        return torch.cumprod(1 - betas, dim=0)

    @property
    def range(self) -> tuple[float, float]:
        """Least and greatest noise it was trained on, in units of x0."""
        if self.timeline is not None:
            return self.timeline.lowest, self.timeline.highest
        assert self.sigma_range is not None
        return self.sigma_range[0] / self.scale, self.sigma_range[1] / self.scale

    def check_sigma(self, sigma: Float[Tensor, " b"]) -> None:
        """Raises BadInput outside the range."""
        low, high = self.range
        outside = (sigma < low * 0.999) | (sigma > high * 1.001)
        if bool(outside.any()):
            raise BadInput(
                f"sigma={float(sigma[outside][0]):.4g} is outside the noise this network was trained on, {low:.4g} to "
                f"{high:.4g}. Choose a level between (--sigma), or sample along its own levels (--grid checkpoint)."
            )

    def label_of(self, sigma: Float[Tensor, " b"]) -> Tensor | None:
        """What the network is told at a noise level in units of x0. Raises BadInput outside the range."""
        self.check_sigma(sigma)
        if self.label == "none":
            return None
        if self.label in ("sigma", "log_sigma"):
            own = self.scale * sigma
            return own if self.label == "sigma" else own.log()
        assert self.timeline is not None
        low, high = self.range
        t = self.timeline.t_of(sigma.clamp(low, high))
        t = (len(self.timeline.ln_sigmas) - 1 - t if self.falls else t) + self.offset
        if self.label == "index":
            return t.round().long()
        return t / len(self.timeline.ln_sigmas) if self.label == "fraction" else t

    def key(self) -> dict[str, Any]:
        """Everything the facts say, as plain JSON values."""
        facts = {name: getattr(self, name) for name in self.__dataclass_fields__}
        levels = hashlib.sha256(repr(self.levels).encode()).hexdigest() if self.levels else ""
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in facts.items()}
        return {**plain, "levels": levels}

    def told(self) -> list[str]:
        """One line a fact, for people."""
        low, high = self.range
        count = f", {len(self.timeline.ln_sigmas)} steps" if self.timeline is not None else ""
        noise = f"{self.schedule}{count}: sigma {low:.4g} to {high:.4g} in units of images in [-1, 1]"
        counted = f", counted from {self.offset}" if self.offset else ""
        chosen = "the mean over all" if self.image_class is None else f"class {self.image_class}"
        scaled = "sqrt(alpha_bar) times the noisy image" if self.takes == "scaled" else "the noisy image as it is"
        return [
            f"takes     {self.takes}: {scaled}, values {self.values[0]:g} to {self.values[1]:g}",
            f"schedule  {noise}",
            f"label     {self.label}{counted}",
            f"gives     {self.gives}",
            f"classes   {f'{self.classes}: {chosen}' if self.classes else 'none'}",
        ]
