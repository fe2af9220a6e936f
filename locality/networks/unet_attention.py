"""The UNet with self-attention at its coarsest levels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from locality.errors import BadInput
from locality.networks.parts.spec import NETWORKS
from locality.networks.unet import UNet
from locality.specs import param
from locality.types import ImageShape


@NETWORKS.register("unet_attention")
@dataclass(frozen=True)
class UNetAttention(UNet):
    """The UNet plus attention: always one block in the middle, and in every block of the coarsest levels."""

    heading: ClassVar[str] = "UNet with attention"
    sees: ClassVar[str] = "Convolutions, attention when coarse"
    place: ClassVar[int] = 2
    examples: ClassVar[tuple[str, ...]] = ("unet_attention:channels=16-32,groups=8",)
    weights: ClassVar[Mapping[str, int]] = {"1x28x28": 1_805_121, "3x32x32": 1_806_275}
    presets: ClassVar[Mapping[str, str]] = {name: f"{text},attention=0" for name, text in UNet.presets.items()}

    attention: int = param(1, help="Levels with attention, counted from the coarsest.", low=0, high=8)
    head: int = param(16, help="Channels per attention head.", low=1, high=256)

    def build(self, shape: ImageShape) -> nn.Module:
        if self.attention > len(self.channels):
            levels = len(self.channels)
            raise BadInput(f"{self.name}: attention={self.attention} levels, but channels has {levels}. Use fewer.")
        if any(width % self.head for width in self.channels[-max(self.attention, 1) :]):
            raise BadInput(f"{self.name}: channels {self.channels} must be multiples of head={self.head}.")
        return super().build(shape)

    def _attention(self, levels: int) -> dict[str, Any]:
        plain = levels - self.attention
        return {
            "down_block_types": ("DownBlock2D",) * plain + ("AttnDownBlock2D",) * self.attention,
            "up_block_types": ("AttnUpBlock2D",) * self.attention + ("UpBlock2D",) * plain,
            "add_attention": True,
            "attention_head_dim": self.head,
        }
