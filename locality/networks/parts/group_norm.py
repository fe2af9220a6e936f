"""Group normalisation of images whose channels lie side by side (`norm_kernels`)."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from locality.networks.parts import norm_kernels as loops
from locality.networks.parts.side_by_side import array, channels_last, room, shared, takes


class GroupNorm(nn.GroupNorm):
    """PyTorch's, but for rounding, of images in channels_last."""

    def forward(self, input: Tensor) -> Tensor:
        if len(self.weight) != self.num_channels or not takes(input, self.num_channels, self.weight, self.bias):
            return super().forward(input)
        found: Tensor = _Norm.apply(input, self.weight, self.bias, self.num_groups, self.eps)  # type: ignore[no-untyped-call]
        return found


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Float[Tensor, "b c h w"],
        weight: Float[Tensor, " c"],
        bias: Float[Tensor, " c"],
        groups: int,
        eps: float,
    ) -> Float[Tensor, "b c h w"]:
        images, found = channels_last(x), room(x.shape)
        moments = torch.empty(len(x), groups, 2, dtype=torch.float64, device="cpu")
        before, after = _places(images), _places(channels_last(found))
        w, b, m = array(weight), array(bias), array(moments)
        shared(len(x), lambda first, last: loops.normalise(before, w, b, eps, after, m, first, last))
        ctx.save_for_backward(images, weight, moments)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Float[Tensor, "b c h w"]) -> tuple[Tensor | None, ...]:
        images, weight, moments = ctx.saved_tensors
        found, by_weight = (
            room(slope.shape),
            torch.empty(len(images), 2, len(weight), dtype=torch.float32, device="cpu"),
        )
        slopes, x, back = (_places(tensor) for tensor in (channels_last(slope), images, channels_last(found)))
        w, m, each = array(weight), array(moments), array(by_weight)
        shared(len(images), lambda first, last: loops.back(slopes, x, w, m, back, each, first, last))
        return found, *by_weight.sum(0), None, None


def _places(images: Float[Tensor, "b h w c"]) -> Any:
    return array(images.flatten(1, 2))
