"""A small attention-free UNet: diffusers' UNet2DModel without its attention blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from locality.errors import BadInput
from locality.networks.parts.library import diffusers_class
from locality.networks.parts.spec import NETWORKS, NetworkSpec
from locality.specs import param
from locality.types import ImageShape


@NETWORKS.register("unet")
@dataclass(frozen=True)
class UNet(NetworkSpec):
    """Convolutions, group normalisation and skips; no attention anywhere.

    The presets have the sizes Lukoianov et al. (2025, arXiv 2509.09672) trained at, for 32 or 64 and for 28 pixels.
    """

    heading: ClassVar[str] = "UNet"
    sees: ClassVar[str] = "Convolutions at several scales"
    place: ClassVar[int] = 1
    quick: ClassVar[str] = "channels=16-32-48"
    examples: ClassVar[tuple[str, ...]] = ("unet:channels=16-16,groups=8",)
    weights: ClassVar[Mapping[str, int]] = {"1x28x28": 1_655_361, "3x32x32": 1_656_515}
    presets: ClassVar[Mapping[str, str]] = {
        "paper": "channels=128-256-384-512,blocks=2,groups=32,dropout=0.15",
        "paper28": "channels=64-128-128,blocks=2,groups=32,dropout=0.15",
    }

    channels: tuple[int, ...] = param((32, 64, 96), help="Channels per level, finest first.", low=8, high=1024)
    blocks: int = param(1, help="Residual blocks per level.", low=1, high=8)
    groups: int = param(16, help="Groups of the group normalisation.", low=1, high=64)
    dropout: float = param(0.0, help="Dropout in residual blocks.", low=0.0, high=0.9)

    @property
    def exempt(self) -> Mapping[str, str]:
        return {"starts_at_zero": "diffusers' last convolution starts small, not at zero"}

    def build(self, shape: ImageShape) -> nn.Module:
        levels = len(self.channels)
        if shape.h % 2 ** (levels - 1) or shape.w % 2 ** (levels - 1):
            sides = f"{shape.h}x{shape.w}"
            raise BadInput(f"{self.name}: {levels} levels need sides divisible by {2 ** (levels - 1)}, got {sides}.")
        if any(width % self.groups for width in self.channels):
            raise BadInput(f"{self.name}: channels {self.channels} must be multiples of groups={self.groups}.")
        inner = diffusers_class("UNet2DModel")(
            sample_size=(shape.h, shape.w),
            in_channels=shape.c,
            out_channels=shape.c,
            layers_per_block=self.blocks,
            block_out_channels=self.channels,
            norm_num_groups=self.groups,
            dropout=self.dropout,
            **self._attention(levels),
        )
        return _Sample(inner)

    def _attention(self, levels: int) -> dict[str, Any]:
        """Options of UNet2DModel that say where attention sits."""
        return {
            "down_block_types": ("DownBlock2D",) * levels,
            "up_block_types": ("UpBlock2D",) * levels,
            "add_attention": False,
        }


class _Sample(nn.Module):
    """Unwraps diffusers' output object."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def train(self, mode: bool = True) -> _Sample:
        """As usual, but residual blocks stay in evaluation mode (their dropout does not): else they reorder values."""
        super().train(mode)
        for module in self.modules():
            if type(module).__name__ == "ResnetBlock2D":
                module.training = False
        return self

    def forward(self, images: Float[Tensor, "b c h w"], label: Float[Tensor, " b"]) -> Float[Tensor, "b c h w"]:
        out: Tensor = self.inner(images, label).sample
        return out
