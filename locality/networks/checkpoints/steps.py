"""The noise levels a checkpoint is usually sampled at: its own steps, spaced as its scheduler says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from locality.errors import BadInput
from locality.networks.adapter.denoiser import AdaptedDenoiser, PythonSpec
from locality.networks.adapter.file import open_code
from locality.networks.checkpoints.spec import ExternalSpec
from locality.networks.checkpoints.timesteps import timeline
from locality.schedule import HIGHEST
from locality.specs import Code

SPACINGS = ("leading", "trailing", "linspace")


def own_levels(path: Path, manifest: Mapping[str, Any], count: int) -> list[float]:
    """`count` noise levels of a checkpoint's own schedule, decreasing, in units of x0.

    Spaced as diffusers' `timestep_spacing` says; evenly with both ends (linspace) where nothing does. A last step
    without any image (zero terminal SNR) is the largest noise level there is.

    Raises:
        BadInput: a network without steps, or fewer of them than `count`.
    """
    network = manifest["network"]
    if network["name"] == PythonSpec.name:
        made = open_code(Code(path, network["function"], network["options"])).denoiser
        own = made.facts.timeline if isinstance(made, AdaptedDenoiser) else None
    else:
        own = timeline(network["schedule"]) if network["name"] == ExternalSpec.name else None
    if own is None:
        raise BadInput(f"{path.name} takes any noise: it has no steps of its own. Choose --grid ddpm, edm or log.")
    levels = [*own.ln_sigmas.exp().tolist(), *([HIGHEST] if own.blank else [])]
    spacing = manifest.get("spacing") or {}
    total = len(levels)
    if not 2 <= count <= total:
        raise BadInput(f"steps={count}: {path.name} has {total} steps of its own; give 2 to {total}.")
    chosen = _timesteps(total, count, spacing.get("timestep_spacing", "linspace"), spacing.get("steps_offset", 0))
    return [levels[min(t, total - 1)] for t in chosen]


def _timesteps(total: int, count: int, spacing: str, offset: int) -> list[int]:
    """Falling, as diffusers' schedulers make them."""
    if spacing == "leading":
        return [t * (total // count) + offset for t in reversed(range(count))]
    if spacing == "trailing":
        return [round(total - i * total / count) - 1 for i in range(count)]
    return torch.linspace(total - 1, 0, count, dtype=torch.float64).round().int().tolist()


def spacing_of(config: Mapping[str, Any], where: str) -> dict[str, Any]:
    """What a scheduler's configuration says of spacing. Raises BadInput."""
    spacing, offset = config.get("timestep_spacing", "leading"), config.get("steps_offset", 0)
    if spacing not in SPACINGS or type(offset) is not int:
        raise BadInput(
            f"{where}: timestep_spacing={spacing!r}, steps_offset={offset!r}: {', '.join(SPACINGS)} and a whole number "
            "are known."
        )
    return {"timestep_spacing": spacing, "steps_offset": offset}
