"""3x3 convolutions on a CPU in a quarter of the multiplications, forward and back (`winograd_kernels`).

In float32 the largest error is three to four times that of direct sums: 3e-5 for outputs of size one (64 channels).
An infinite value makes all places of its tiles NaN.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from locality.networks.parts import winograd_kernels as loops
from locality.networks.parts.side_by_side import array, channels_last, room, shared, takes

LANES = loops.LANES  # channels are whole vectors of so many
_G = ((6, 0, 0), (-4, -4, -4), (-4, 4, -4), (1, 2, 4), (1, -2, 4), (0, 0, 24))  # / 24; at 0, 1, -1, 2, -2, infinity
_POINTS = torch.tensor(_G, dtype=torch.float32, device="cpu") / 24
_TO_POINTS = torch.kron(_POINTS, _POINTS)  # [36 9]
_MOST = 256 * 1024**2  # bytes of derivatives by the weights, of which each thread has its own


class Winograd(nn.Conv2d):
    """A 3x3 convolution of stride 1 and padding 1: images keep their size."""

    def forward(self, input: Float[Tensor, "*b c h w"]) -> Float[Tensor, "*b o h w"]:
        shape = (self.out_channels, self.in_channels, 3, 3)
        if self.weight.shape != shape or not takes(input, self.in_channels, self.weight, self.bias):
            return super().forward(input)
        bias = self.weight.new_zeros(self.out_channels) if self.bias is None else self.bias
        found: Tensor = _Convolution.apply(input, self.weight, bias)  # type: ignore[no-untyped-call]
        return found


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Float[Tensor, "b c h w"], weight: Float[Tensor, "o c 3 3"], bias: Float[Tensor, " o"]
    ) -> Float[Tensor, "b o h w"]:
        ctx.save_for_backward(x, weight)
        ctx.back = None
        return _convolved(x, _at_points(weight), bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Float[Tensor, "b o h w"]) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        by_x = by_weight = by_bias = None
        if ctx.needs_input_grad[0]:
            points = _at_points(weight.flip(2, 3).transpose(0, 1)) if ctx.back is None else ctx.back
            by_x = _convolved(slope, points, weight.new_zeros(weight.shape[1]))
            ctx.back = None if ctx.needs_input_grad[1] else points  # the same for all rows of a Jacobian
        if ctx.needs_input_grad[1]:
            by_weight = _by_weight(x, slope)
        if ctx.needs_input_grad[2]:
            by_bias = slope.sum((0, 2, 3))
        return by_x, by_weight, by_bias


def _at_points(weight: Float[Tensor, "o c 3 3"]) -> Float[Tensor, "36 panels c width"]:
    """Rows of a panel side by side; zeros where the last one has more columns than there are outputs."""
    o, c = weight.shape[:2]
    width = 2 * loops.LANES
    kernels = functional.pad(weight.detach().permute(2, 3, 1, 0), (0, -o % width)).reshape(9, -1)
    return (_TO_POINTS @ kernels).reshape(loops.POINTS, c, -1, width).transpose(1, 2).contiguous()


def _convolved(
    x: Float[Tensor, "b c h w"], weights: Float[Tensor, "36 panels c width"], bias: Float[Tensor, " o"]
) -> Float[Tensor, "b o h w"]:
    found = room((len(x), len(bias), *x.shape[2:]))
    arrays = [array(tensor) for tensor in (channels_last(x), weights, bias, channels_last(found))]
    shared(_tiles(x), lambda first, last: loops.convolve(*arrays, first, last))
    return found


def _by_weight(x: Float[Tensor, "b c h w"], slope: Float[Tensor, "b o h w"]) -> Float[Tensor, "o c 3 3"]:
    c, o = x.shape[1], slope.shape[1]
    shape = (loops.POINTS, c + -c % loops.ROWS, o + -o % (2 * loops.LANES))
    images, slopes = array(channels_last(x)), array(channels_last(slope))

    def part(first: int, last: int) -> Tensor:
        made = torch.zeros(shape, dtype=torch.float32, device="cpu")
        loops.correlate(images, slopes, array(made), first, last)
        return made

    points, *others = shared(_tiles(x), part, max(1, _MOST // (4 * shape[0] * shape[1] * shape[2])))
    for other in others:
        points += other
    back = _TO_POINTS.T @ points[:, :c, :o].reshape(-1, c * o)
    return back.reshape(3, 3, c, o).permute(3, 2, 0, 1).contiguous()


def _tiles(x: Float[Tensor, "b c h w"]) -> int:
    return len(x) * -(-x.shape[2] // loops.SIDE) * -(-x.shape[3] // loops.SIDE)
