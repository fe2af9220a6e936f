"""A plain residual network: eight convolutions, so that a pixel sees a 17 x 17 square and no more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from locality.networks.parts.label import LabelEmbedding, zeroed
from locality.networks.parts.spec import NETWORKS, NetworkSpec
from locality.specs import param
from locality.types import ImageShape

RECEPTIVE_FIELD = 17  # eight 3x3 convolutions in a row, whatever the options
_INNER = 3  # residual blocks of two convolutions, between the first convolution and the last


@NETWORKS.register("resnet")
@dataclass(frozen=True)
class ResNet(NetworkSpec):
    """Eight 3x3 convolutions with residual connections; no normalisation, no pooling, no attention.

    With circular padding it is exactly equivariant to shifts; with zeros only the border tells where a pixel is.
    """

    heading: ClassVar[str] = "ResNet"
    sees: ClassVar[str] = "Convolutions; sees 17 x 17 pixels"
    place: ClassVar[int] = 3
    quick: ClassVar[str] = "channels=64"
    examples: ClassVar[tuple[str, ...]] = ("resnet:channels=8",)
    weights: ClassVar[Mapping[str, int]] = {"1x28x28": 645_985, "3x32x32": 649_443}
    presets: ClassVar[Mapping[str, str]] = {"paper": "channels=256"}

    channels: int = param(96, help="Channels of the inner layers.", low=8, high=1024)
    padding: str = param("zeros", help="Padding at the border of the image.", choices=("zeros", "circular"))

    def build(self, shape: ImageShape) -> nn.Module:
        return _ResNet(shape.c, self.channels, self.padding)


def _conv(into: int, out: int, padding: str) -> nn.Conv2d:
    return nn.Conv2d(into, out, 3, padding=1, padding_mode="circular" if padding == "circular" else "zeros")


class _Conv(nn.Module):
    """A 3x3 convolution whose output is scaled and shifted by the noise level, the same at every pixel."""

    def __init__(self, into: int, out: int, padding: str, label: int) -> None:
        super().__init__()
        self.conv = _conv(into, out, padding)
        self.level = zeroed(nn.Linear(label, 2 * out))

    def forward(self, h: Float[Tensor, "b into h w"], label: Float[Tensor, "b label"]) -> Float[Tensor, "b out h w"]:
        scale, bias = self.level(label)[:, :, None, None].chunk(2, dim=1)
        out: Tensor = torch.addcmul(bias, self.conv(h), 1 + scale)
        return out


class _ResNet(nn.Module):
    def __init__(self, colours: int, channels: int, padding: str) -> None:
        super().__init__()
        self.label = LabelEmbedding(channels)
        self.first = _Conv(colours, channels, padding, channels)
        self.inner = nn.ModuleList(_Conv(channels, channels, padding, channels) for _ in range(2 * _INNER))
        self.last = zeroed(_conv(channels, colours, padding))

    def forward(self, images: Float[Tensor, "b c h w"], label: Float[Tensor, " b"]) -> Float[Tensor, "b c h w"]:
        level = self.label(label)
        h = self.first(images, level)
        for i in range(0, 2 * _INNER, 2):
            h = h + self.inner[i + 1](functional.silu(self.inner[i](functional.silu(h), level)), level)
        out: Tensor = self.last(functional.silu(h))
        return out
