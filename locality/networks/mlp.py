"""Fully connected layers on the flattened image: nothing tells the network which pixels are neighbours."""

from __future__ import annotations

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

LARGEST = 28 * 28  # values of an image; beyond it the first layer alone outgrows the other networks
_LABEL = 128  # width of the noise level's embedding


@NETWORKS.register("mlp")
@dataclass(frozen=True)
class MLP(NetworkSpec):
    """Residual blocks of two full layers; no spatial bias of any kind. For images of at most 28x28 values."""

    heading: ClassVar[str] = "MLP"
    sees: ClassVar[str] = "All to all; no spatial structure"
    place: ClassVar[int] = 5
    examples: ClassVar[tuple[str, ...]] = ("mlp:width=16,depth=2",)
    weights: ClassVar[Mapping[str, int]] = {"1x28x28": 3_166_225}

    width: int = param(640, help="Hidden width: values between the blocks.", low=16, high=4096)
    depth: int = param(2, help="Residual blocks.", low=1, high=32)

    @property
    def exempt(self) -> Mapping[str, str]:
        return {"takes_colour_images_of_32_pixels": "they have more values than it takes"}

    def build(self, shape: ImageShape) -> nn.Module:
        if shape.d > LARGEST:
            raise BadInput(
                f"mlp: {shape} images have {shape.d} values; it takes at most {LARGEST} (28x28 grey). "
                "Choose another network or smaller images."
            )
        return _MLP(shape.d, self.width, self.depth)


class _Block(nn.Module):
    """Normalise, scale and shift by the noise level, two layers, add."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.level = zeroed(nn.Linear(_LABEL, 2 * width))
        self.first, self.second = nn.Linear(width, width), zeroed(nn.Linear(width, width))

    def forward(self, h: Float[Tensor, "b width"], label: Float[Tensor, "b label"]) -> Float[Tensor, "b width"]:
        scale, shift = self.level(label).chunk(2, dim=1)
        inner = torch.addcmul(shift, functional.layer_norm(h, h.shape[-1:]), 1 + scale)
        out: Tensor = h + self.second(functional.silu(self.first(inner)))
        return out

    def back(
        self, g: Float[Tensor, "m b width"], h: Float[Tensor, "b width"], label: Float[Tensor, "b label"]
    ) -> Float[Tensor, "m b width"]:
        """Derivatives by the output, as derivatives by the input h."""
        scale, shift = self.level(label).chunk(2, dim=1)
        normal, _, per = torch.native_layer_norm(h, h.shape[-1:], None, None, 1e-5)
        gate = torch.sigmoid(u := self.first(torch.addcmul(shift, normal, 1 + scale)))
        a = (g @ self.second.weight) * (gate * (1 + u * (1 - gate)))
        a = (a @ self.first.weight) * (1 + scale)
        along = (a * normal).mean(dim=-1, keepdim=True) * normal
        found: Tensor = g + per * (a - a.mean(dim=-1, keepdim=True) - along)
        return found


class _MLP(nn.Module):
    """Without its blocks it is linear in the image, V diag(g(label)) U: the Wiener filters are among these."""

    def __init__(self, d: int, width: int, depth: int) -> None:
        super().__init__()
        self.label = LabelEmbedding(_LABEL)
        self.first = nn.Linear(d, width)
        self.blocks = nn.ModuleList(_Block(width) for _ in range(depth))
        self.level = zeroed(nn.Linear(_LABEL, 2 * width))
        self.last = zeroed(nn.Linear(width, d))
        # One number per noise level lets each pixel through to itself: fewer inner values than
        # pixels would otherwise lose part of the noise that the output has to name.
        self.through = zeroed(nn.Linear(_LABEL, 1))

    def forward(self, images: Float[Tensor, "b c h w"], label: Float[Tensor, " b"]) -> Float[Tensor, "b c h w"]:
        level, x = self.label(label), images.flatten(1)
        h = self.first(x)
        for block in self.blocks:
            h = block(h, level)
        scale, shift = self.level(level).chunk(2, dim=1)
        out = torch.addcmul(self.last(torch.addcmul(shift, h, 1 + scale)), self.through(level), x)
        return out.reshape(images.shape)

    def jacobian_rows(
        self, images: Float[Tensor, "b c h w"], label: Float[Tensor, " b"], outputs: Float[Tensor, "m c h w"]
    ) -> Float[Tensor, "m b c h w"]:
        """All rows at once: each weight is read once for all of them, not once for each."""
        level = self.label(label)
        inputs = [self.first(images.flatten(1))]
        for block in self.blocks[:-1]:
            inputs.append(block(inputs[-1], level))
        scale, _ = self.level(level).chunk(2, dim=1)
        asked = outputs.flatten(1)
        g = (asked @ self.last.weight)[:, None] * (1 + scale)
        for i in reversed(range(len(self.blocks))):
            g = self.blocks[i].back(g, inputs[i], level)  # type: ignore[operator]
        rows = torch.addcmul(g @ self.first.weight, asked[:, None], self.through(level))
        return rows.reshape(-1, *images.shape)
