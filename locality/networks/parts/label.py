"""How the networks made here learn the noise level: an embedding of the label, and its effect on a layer."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

FEATURES = 64
_PERIODS = (50.0, 8000.0)  # of the slowest and fastest wave, in labels; 100 labels are a factor e in sigma


class LabelEmbedding(nn.Module):
    """Noise label [b] -> [b width]: sines and cosines of several periods, then two layers."""

    waves: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        shortest, longest = (math.log(period) for period in _PERIODS)
        periods = torch.linspace(shortest, longest, FEATURES // 2).exp()
        self.register_buffer("waves", 2 * math.pi / periods, persistent=False)
        self.layers = nn.Sequential(nn.Linear(FEATURES, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())

    def forward(self, label: Float[Tensor, " b"]) -> Float[Tensor, "b width"]:
        angles = label[:, None] * self.waves
        out: Tensor = self.layers(torch.cat([angles.sin(), angles.cos()], dim=1))
        return out


def zeroed(layer: nn.Linear | nn.Conv2d) -> nn.Linear | nn.Conv2d:
    """The layer with all weights zero: what follows it starts as if it were not there."""
    for weight in layer.parameters():
        nn.init.zeros_(weight)
    return layer
