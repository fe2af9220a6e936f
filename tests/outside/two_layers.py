"""A network that lies outside the package: two convolutions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from locality.networks import NETWORKS, NetworkSpec
from locality.networks.parts.label import LabelEmbedding, zeroed
from locality.specs import param
from locality.types import ImageShape


@NETWORKS.register("two_layers")
@dataclass(frozen=True)
class TwoLayers(NetworkSpec):
    """Two 5x5 convolutions; the noise level scales what is between them."""

    heading: ClassVar[str] = "Two layers"
    sees: ClassVar[str] = "Convolutions; sees 9 x 9 pixels"
    examples: ClassVar[tuple[str, ...]] = ("two_layers:channels=8",)

    channels: int = param(16, help="Channels between the convolutions.", low=4, high=256)

    def build(self, shape: ImageShape) -> nn.Module:
        return _TwoLayers(shape.c, self.channels)


class _TwoLayers(nn.Module):
    def __init__(self, colours: int, channels: int) -> None:
        super().__init__()
        self.label = LabelEmbedding(channels)
        self.first, self.level = nn.Conv2d(colours, channels, 5, padding=2), nn.Linear(channels, channels)
        self.last = zeroed(nn.Conv2d(channels, colours, 5, padding=2))

    def forward(self, images: Float[Tensor, "b c h w"], label: Float[Tensor, " b"]) -> Float[Tensor, "b c h w"]:
        level = self.level(self.label(label))[:, :, None, None]
        out: Tensor = self.last(torch.tanh(self.first(images)) * (1 + level))
        return out
