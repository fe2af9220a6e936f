"""A patch Transformer (DiT; Peebles and Xie 2023, arXiv 2212.09748): attention among patches, no convolution."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from locality.errors import BadInput
from locality.networks.parts.label import LabelEmbedding, zeroed
from locality.networks.parts.spec import NETWORKS, NetworkSpec
from locality.specs import param
from locality.types import ImageShape


@NETWORKS.register("dit")
@dataclass(frozen=True)
class DiT(NetworkSpec):
    """Patches as tokens, with positions added; blocks whose strength the noise level sets (adaLN-zero)."""

    heading: ClassVar[str] = "DiT"
    sees: ClassVar[str] = "Attention among patches"
    place: ClassVar[int] = 4
    quick: ClassVar[str] = "patch=4"
    examples: ClassVar[tuple[str, ...]] = ("dit:width=16,depth=2,heads=2",)
    weights: ClassVar[Mapping[str, int]] = {"1x28x28": 1_271_428, "3x32x32": 1_281_164}
    presets: ClassVar[Mapping[str, str]] = {"paper": "width=384,depth=12,heads=6"}  # DiT-S of the paper

    width: int = param(128, help="Values per token.", low=16, high=2048)
    depth: int = param(4, help="Transformer blocks.", low=1, high=48)
    heads: int = param(4, help="Attention heads; they share the width.", low=1, high=64)
    patch: int = param(2, help="Side of a patch.", low=1, high=32, unit="pixels")
    positions: str = param("learned", help="Positional embedding.", choices=("learned", "sinusoidal"))

    def build(self, shape: ImageShape) -> nn.Module:
        if shape.h % self.patch or shape.w % self.patch:
            sides = f"{shape.h}x{shape.w}"
            raise BadInput(f"dit: patches of side {self.patch} do not tile {sides} images. Choose a divisor of both.")
        if self.width % self.heads:
            raise BadInput(f"dit: width={self.width} must be a multiple of heads={self.heads}.")
        if self.width % 4:
            raise BadInput(f"dit: width={self.width} must be a multiple of 4, for the positions in two directions.")
        return _DiT(self, shape)


class _Block(nn.Module):
    """Attention and a two-layer network, each with its scale, shift and gate from the noise level."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.level = zeroed(nn.Linear(width, 6 * width))
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, h: Float[Tensor, "b n width"], label: Float[Tensor, "b width"]) -> Float[Tensor, "b n width"]:
        levels = self.level(label)[:, None].chunk(6, dim=2)
        h = h + levels[2] * self._attention(_modulated(h, levels[0], levels[1]))
        wide = functional.gelu(self.wide(_modulated(h, levels[3], levels[4])), approximate="tanh")
        out: Tensor = h + levels[5] * self.narrow(wide)
        return out

    def _attention(self, h: Float[Tensor, "b n width"]) -> Float[Tensor, "b n width"]:
        q, k, v = self.qkv(h).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out


class _DiT(nn.Module):
    places: Tensor

    def __init__(self, spec: DiT, shape: ImageShape) -> None:
        super().__init__()
        self.patch, width = spec.patch, spec.width
        self.rows, self.cols = shape.h // spec.patch, shape.w // spec.patch
        self.embed = nn.Linear(shape.c * spec.patch**2, width)
        if spec.positions == "learned":
            self.places = nn.Parameter(0.02 * torch.randn(self.rows * self.cols, width))
        else:
            self.register_buffer("places", waves(self.rows, self.cols, width), persistent=False)
        self.label = LabelEmbedding(width)
        self.blocks = nn.ModuleList(_Block(width, spec.heads) for _ in range(spec.depth))
        self.level = zeroed(nn.Linear(width, 2 * width))
        self.last = zeroed(nn.Linear(width, shape.c * spec.patch**2))

    def forward(self, images: Float[Tensor, "b c h w"], label: Float[Tensor, " b"]) -> Float[Tensor, "b c h w"]:
        level = self.label(label)
        h = self.embed(tokens(images, self.patch)) + self.places
        for block in self.blocks:
            h = block(h, level)
        scale, shift = self.level(level)[:, None].chunk(2, dim=2)
        out = self.last(_modulated(h, scale, shift))
        return untokens(out, self.patch, self.rows, self.cols)


def _modulated(
    h: Float[Tensor, "b n width"], scale: Float[Tensor, "b 1 width"], shift: Float[Tensor, "b 1 width"]
) -> Float[Tensor, "b n width"]:
    return torch.addcmul(shift, functional.layer_norm(h, h.shape[-1:], eps=1e-6), 1 + scale)


def tokens(images: Float[Tensor, "b c h w"], patch: int) -> Float[Tensor, "b n e"]:
    """Patches in reading order, each as its c * patch * patch values."""
    split = images.unflatten(3, (-1, patch)).unflatten(2, (-1, patch))  # b c rows p cols p
    out: Tensor = split.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)
    return out


def untokens(values: Float[Tensor, "b n e"], patch: int, rows: int, cols: int) -> Float[Tensor, "b c h w"]:
    """Inverse of `tokens`."""
    split = values.unflatten(2, (-1, patch, patch)).unflatten(1, (rows, cols))  # b rows cols c p p
    out: Tensor = split.permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)
    return out


def waves(rows: int, cols: int, width: int) -> Float[Tensor, "n width"]:
    """Sines and cosines of row and column, a quarter of the width each; wavelengths from 2 pi to 20000 pi tokens."""
    rates = torch.exp(-math.log(10_000.0) * torch.arange(width // 4) / (width // 4))
    row, col = (torch.arange(n)[:, None] * rates for n in (rows, cols))
    down = torch.cat([row.sin(), row.cos()], dim=1)[:, None].expand(rows, cols, -1)
    across = torch.cat([col.sin(), col.cos()], dim=1)[None].expand(rows, cols, -1)
    return torch.cat([down, across], dim=2).flatten(0, 1)
