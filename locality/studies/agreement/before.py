"""Studies of the version before, read for what they have."""

from __future__ import annotations

import torch

from locality.fields.similarity import MEASURES
from locality.store import Artifact

BEFORE = 1  # version: all pixels alike, no correction, one initialisation; split halves by the name of ceilings


def uncorrected(kept: Artifact) -> Artifact:
    """The arrays of today, nan for what was not measured; halves h as the reliability 2 h / (1 + h) of all draws."""
    arrays = {name: array for name, array in kept.arrays.items() if not name.endswith("_ceiling")}
    for measure in MEASURES:
        value, halves = kept.arrays[measure], kept.arrays[f"{measure}_ceiling"]
        nothing = torch.full_like(value, torch.nan)
        arrays |= {f"{measure}_{name}": nothing for name in ("low", "high", "spread")}
        arrays |= {f"{measure}_plain": value, f"{measure}_reliability": 2.0 * halves / (1.0 + halves)}
    return Artifact(arrays, {**kept.meta, "weights": None})
