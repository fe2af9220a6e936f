"""3x3 convolutions on a processor in a quarter of the multiplications, forward and back (`winograd_kernels`).

In float32, with an error three or four times that of direct sums: some 3e-5 of outputs of size one, of 64 channels.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from types import ModuleType
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from locality.work import Progress

T = TypeVar("T")

_LEAST = 32  # channels, from which it is quicker
_G = (
    torch.tensor(  # to the points 0, 1, -1, 2, -2 and infinity
        [[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]
    )
    / 24
)
_TO_POINTS = torch.kron(_G, _G)  # [36 9]


@cache
def _loops() -> ModuleType | None:
    """The compiled loops; None where Numba is missing or does not run, and on processors where nobody measured them."""
    try:
        import locality.networks.parts.winograd_kernels as loops
    except (ImportError, OSError):
        return None
    return loops if loops.LANES >= 8 else None


def quicken(net: nn.Module) -> bool:
    """Have a network's convolutions go the quick way where it serves: float32, on a CPU, channels enough; whether any.

    Weights and their names stay as they are. Values are best in the order channels_last.
    """
    if not any(_serves(module) for module in net.modules()):
        return False
    for module in net.modules():
        if type(module) is nn.Conv2d:
            module.__class__ = _Winograd if _serves(module) else _Product if _is_product(module) else nn.Conv2d
    return True


def ready(net: nn.Module) -> Generator[Progress, None, None]:
    """Have the loops of a quickened network, which are compiled once on a machine, then kept by Numba."""
    loops = _loops()
    if loops is None or loops.correlate.signatures or not any(isinstance(part, _Winograd) for part in net.modules()):
        return
    yield Progress(0.0, 1.0, "convolutions for this processor (compiled once, then kept)")
    x, conv = torch.zeros(1, _LEAST, 1, 1, requires_grad=True), _Winograd(_LEAST, _LEAST, 3, padding=1)
    with torch.enable_grad():
        conv(x).sum().backward()


def _serves(conv: nn.Module) -> bool:
    if type(conv) is not nn.Conv2d:
        return False
    loops, channels = _loops(), (conv.in_channels, conv.out_channels)
    plain = (conv.kernel_size, conv.stride, conv.padding, conv.dilation) == ((3, 3), (1, 1), (1, 1), (1, 1))
    if loops is None or not plain or conv.groups != 1 or conv.padding_mode != "zeros":
        return False
    return min(channels) >= _LEAST and all(number % loops.LANES == 0 for number in channels)


def _is_product(conv: nn.Conv2d) -> bool:
    shape = (conv.kernel_size, conv.stride, conv.padding, conv.groups)
    return shape == ((1, 1), (1, 1), (0, 0), 1)


class _Product(nn.Conv2d):
    """A 1x1 convolution as the matrix product that it is, of channels that lie side by side."""

    def forward(self, input: Float[Tensor, "b c h w"]) -> Float[Tensor, "b o h w"]:
        return functional.linear(input.permute(0, 2, 3, 1), self.weight[:, :, 0, 0], self.bias).permute(0, 3, 1, 2)


class _Winograd(nn.Conv2d):
    def forward(self, input: Float[Tensor, "b c h w"]) -> Float[Tensor, "b o h w"]:
        plain = input.dtype == self.weight.dtype == torch.float32 and input.device.type == "cpu" and input.dim() == 4
        if not plain or torch.is_autocast_enabled("cpu"):
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
        return _convolved(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Float[Tensor, "b o h w"]) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        by_x = by_weight = by_bias = None
        if ctx.needs_input_grad[0]:
            by_x = _convolved(slope, weight.flip(2, 3).transpose(0, 1), weight.new_zeros(weight.shape[1]))
        if ctx.needs_input_grad[1]:
            by_weight = _by_weight(x, slope)
        if ctx.needs_input_grad[2]:
            by_bias = slope.sum((0, 2, 3))
        return by_x, by_weight, by_bias


def _convolved(
    x: Float[Tensor, "b c h w"], weight: Float[Tensor, "o c 3 3"], bias: Float[Tensor, " o"]
) -> Float[Tensor, "b o h w"]:
    loops = _loops()
    assert loops is not None
    o, c = weight.shape[:2]
    panel = 2 * loops.LANES
    more = -o % panel
    points = (_TO_POINTS @ functional.pad(weight.permute(2, 3, 1, 0), (0, more)).reshape(9, -1)).reshape(
        36, c, -1, panel
    )
    points, bias = points.transpose(1, 2).contiguous(), functional.pad(bias, (0, more))
    found = torch.empty(len(x), *x.shape[2:], o)
    images, weights, biases, answers = (t.detach().numpy() for t in (_channels_last(x), points, bias, found))
    _shared(x, lambda first, last: loops.convolve(images, weights, biases, answers, first, last))
    return found.permute(0, 3, 1, 2)


def _by_weight(x: Float[Tensor, "b c h w"], slope: Float[Tensor, "b o h w"]) -> Float[Tensor, "o c 3 3"]:
    loops = _loops()
    assert loops is not None
    c, o = x.shape[1], slope.shape[1]
    images, slopes = _channels_last(x).detach().numpy(), _channels_last(slope).detach().numpy()

    def part(first: int, last: int) -> Tensor:
        made = torch.zeros(loops.POINTS, c + -c % loops.ROWS, o + -o % (2 * loops.LANES))
        loops.correlate(images, slopes, made.numpy(), first, last)
        return made

    points = torch.stack(_shared(x, part)).sum(0)[:, :c, :o].reshape(-1, c * o)
    return (_TO_POINTS.T @ points).reshape(3, 3, c, o).permute(3, 2, 0, 1).contiguous()


def _channels_last(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b h w c"]:
    return x.permute(0, 2, 3, 1).contiguous()


def _shared(x: Float[Tensor, "b c h w"], work: Callable[[int, int], T]) -> list[T]:
    """What the threads return, each for its part of the tiles of images."""
    tiles = len(x) * -(-x.shape[2] // 4) * -(-x.shape[3] // 4)
    threads = min(torch.get_num_threads(), tiles)
    cuts = [tiles * number // threads for number in range(threads + 1)]
    others = [_pool(threads - 1).submit(work, *cut) for cut in pairwise(cuts[1:])]
    return [work(cuts[0], cuts[1]), *(other.result() for other in others)]


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "convolutions")
