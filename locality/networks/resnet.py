"""A plain residual network: eight convolutions, so that a pixel sees a 17 x 17 square and no more."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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

    def back(self, g: Float[Tensor, "b out n n"], label: Float[Tensor, "b label"]) -> Float[Tensor, "b into n+2 n+2"]:
        """A derivative by the output, 0 outside of a square, as one by the input: of a square wider by two."""
        scale, _ = self.level(label)[:, :, None, None].chunk(2, dim=1)
        return functional.conv_transpose2d(g * (1 + scale), self.conv.weight)


class _ResNet(nn.Module):
    def __init__(self, colours: int, channels: int, padding: str) -> None:
        super().__init__()
        self.border = "circular" if padding == "circular" else "constant"  # what is beyond the image
        self.label = LabelEmbedding(channels)
        self.first = _Conv(colours, channels, padding, channels)
        self.inner = nn.ModuleList(_Conv(channels, channels, padding, channels) for _ in range(2 * _INNER))
        self.last = zeroed(_conv(channels, colours, padding))

    def forward(self, images: Float[Tensor, "b c h w"], label: Float[Tensor, " b"]) -> Float[Tensor, "b c h w"]:
        return self._through(images, self.label(label), functional.silu)

    def _through(
        self, images: Float[Tensor, "b c h w"], level: Float[Tensor, "b label"], silu: Callable[[Tensor], Tensor]
    ) -> Float[Tensor, "b c h w"]:
        h = self.first(images, level)
        for i in range(0, 2 * _INNER, 2):
            h = h + self.inner[i + 1](silu(self.inner[i](silu(h), level)), level)
        out: Tensor = self.last(silu(h))
        return out

    def jacobian_rows(
        self, images: Float[Tensor, "b c h w"], label: Float[Tensor, " b"], outputs: Float[Tensor, "m c h w"]
    ) -> Float[Tensor, "m b c h w"] | None:
        """Each in the square that its pixel sees, which grows from 3x3 to 17x17 on the way back.

        At 32x32 that is a ninth of the products. None for outputs of several pixels together, and for small images.
        """
        places = [output.any(dim=0).nonzero().tolist() for output in outputs]
        if any(len(found) != 1 for found in places) or min(images.shape[2:]) < RECEPTIVE_FIELD:
            return None
        level, slopes = self.label(label), list[Tensor]()

        def silu(h: Float[Tensor, "b channels h w"]) -> Float[Tensor, "b channels h w"]:
            s, n = torch.sigmoid(h), 2 * _INNER + 1 - len(slopes)
            slopes.append(functional.pad(s * (1 + h * (1 - s)), (n, n, n, n), mode=self.border))
            return h * s

        self._through(images, level, silu)
        rows = images.new_zeros(len(outputs), *images.shape)
        for row, output, ((r, c),) in zip(rows, outputs, places, strict=True):
            self._place(row, self._square(output[:, r, c], slopes, level, (r, c)), (r, c))
        return rows

    def _square(
        self,
        weights: Float[Tensor, " c"],
        slopes: Sequence[Tensor],
        level: Float[Tensor, "b label"],
        at: tuple[int, int],
    ) -> Float[Tensor, "b c 17 17"]:
        """The row of a pixel's channels by weight, in the square that the pixel sees."""

        def slope(i: int) -> Float[Tensor, "b channels n n"]:
            side = (
                2 * (len(slopes) - i) + 1
            )  # the frame of slopes is as wide as this square reaches: both begin at `at`
            return slopes[i][:, :, at[0] : at[0] + side, at[1] : at[1] + side]

        g = torch.tensordot(weights, self.last.weight, dims=1) * slope(2 * _INNER)
        for i in reversed(range(0, 2 * _INNER, 2)):
            second, first = self.inner[i + 1].back, self.inner[i].back
            u = second(g, level) * slope(i + 1)  # type: ignore[operator]
            g = functional.pad(g, (2, 2, 2, 2)) + first(u, level) * slope(i)  # type: ignore[operator]
        found: Tensor = self.first.back(g, level)
        return found

    def _place(self, row: Float[Tensor, "b c h w"], square: Float[Tensor, "b c 17 17"], at: tuple[int, int]) -> None:
        """Write a pixel's square into its row: what is beyond the border belongs to the other side, or to nothing."""
        index, inside = [], []
        for middle, side in zip(at, row.shape[2:], strict=True):
            lines = torch.arange(RECEPTIVE_FIELD, device=row.device) + middle - RECEPTIVE_FIELD // 2
            lines = lines % side if self.border == "circular" else lines
            inside.append((lines >= 0) & (lines < side))
            index.append(lines[inside[-1]])
        row[:, :, index[0][:, None], index[1]] = square[:, :, inside[0]][:, :, :, inside[1]]
