"""3x3 convolutions on a processor in a quarter of the multiplications, forward and back (`winograd_kernels`).

In float32, with an error three or four times that of direct sums: some 3e-5 of outputs of size one, of 64 channels.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
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
        elif type(module) is nn.GroupNorm and module.affine and module.num_channels % _norms().LANES == 0:
            module.__class__ = _GroupNorm
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
        if not _takes(input, self.weight):
            return super().forward(input)
        bias = self.weight.new_zeros(self.out_channels) if self.bias is None else self.bias
        found: Tensor = _Convolution.apply(input, self.weight, bias)  # type: ignore[no-untyped-call]
        return found


class _GroupNorm(nn.GroupNorm):
    def forward(self, input: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        if not _takes(input, self.weight):
            return super().forward(input)
        found: Tensor = _Norm.apply(input, self.weight, self.bias, self.num_groups, self.eps)  # type: ignore[no-untyped-call]
        return found


def _takes(x: Tensor, weight: Tensor) -> bool:
    plain = x.dtype == weight.dtype == torch.float32 and x.device.type == "cpu" and x.dim() == 4
    return plain and not torch.is_autocast_enabled("cpu")


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Float[Tensor, "b c h w"], weight: Float[Tensor, "o c 3 3"], bias: Float[Tensor, " o"]
    ) -> Float[Tensor, "b o h w"]:
        ctx.save_for_backward(x, weight)
        ctx.back = None  # weights at the points, for the way back: the same for all rows of a Jacobian
        return _convolved(x, _at_points(weight), bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Float[Tensor, "b o h w"]) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        by_x = by_weight = by_bias = None
        if ctx.needs_input_grad[0]:
            ctx.back = _at_points(weight.flip(2, 3).transpose(0, 1)) if ctx.back is None else ctx.back
            by_x = _convolved(slope, ctx.back, weight.new_zeros(weight.shape[1]))
        if ctx.needs_input_grad[1]:
            by_weight = _by_weight(x, slope)
        if ctx.needs_input_grad[2]:
            by_bias = slope.sum((0, 2, 3))
        return by_x, by_weight, by_bias


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
        images, found = _channels_last(x), _fresh(x.shape)
        moments = torch.empty(len(x), groups, 2, dtype=torch.float64)
        flat = [_flat(t) for t in (images, _channels_last(found))]
        w, b, m = (t.detach().numpy() for t in (weight, bias, moments))
        _shared(len(x), lambda first, last: _norms().normalise(flat[0], w, b, eps, flat[1], m, first, last))
        ctx.save_for_backward(images, weight, moments)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Float[Tensor, "b c h w"]) -> tuple[Tensor | None, ...]:
        images, weight, moments = ctx.saved_tensors
        found, by_weight = _fresh(slope.shape), torch.empty(len(images), 2, len(weight))
        slopes, x, out = (_flat(t) for t in (_channels_last(slope), images, _channels_last(found)))
        w, m, each = (t.detach().numpy() for t in (weight, moments, by_weight))
        _shared(len(images), lambda first, last: _norms().back(slopes, x, w, m, out, each, first, last))
        return found, *by_weight.sum(0), None, None


def _norms() -> ModuleType:
    import locality.networks.parts.norm_kernels as loops

    return loops


def _flat(images: Float[Tensor, "b h w c"]) -> Any:
    return images.detach().flatten(1, 2).numpy()


def _at_points(weight: Float[Tensor, "o c 3 3"]) -> Float[Tensor, "36 panels c width"]:
    """Rows of a panel side by side; zeros where the last one has more columns than there are outputs."""
    loops = _loops()
    assert loops is not None
    o, c = weight.shape[:2]
    width = 2 * loops.LANES
    kernels = functional.pad(weight.detach().permute(2, 3, 1, 0), (0, -o % width)).reshape(9, -1)
    return (_TO_POINTS @ kernels).reshape(len(_TO_POINTS), c, -1, width).transpose(1, 2).contiguous()


def _convolved(
    x: Float[Tensor, "b c h w"], weights: Float[Tensor, "36 panels c width"], bias: Float[Tensor, " o"]
) -> Float[Tensor, "b o h w"]:
    loops = _loops()
    assert loops is not None
    found = _fresh((len(x), len(bias), *x.shape[2:]))
    arrays = [t.detach().numpy() for t in (_channels_last(x), weights, bias, _channels_last(found))]
    _shared(_tiles(x), lambda first, last: loops.convolve(*arrays, first, last))
    return found


def _by_weight(x: Float[Tensor, "b c h w"], slope: Float[Tensor, "b o h w"]) -> Float[Tensor, "o c 3 3"]:
    loops = _loops()
    assert loops is not None
    c, o = x.shape[1], slope.shape[1]
    images, slopes = _channels_last(x).detach().numpy(), _channels_last(slope).detach().numpy()

    def part(first: int, last: int) -> Tensor:
        made = torch.zeros(loops.POINTS, c + -c % loops.ROWS, o + -o % (2 * loops.LANES))
        loops.correlate(images, slopes, made.numpy(), first, last)
        return made

    points = torch.stack(_shared(_tiles(x), part)).sum(0)[:, :c, :o].reshape(-1, c * o)
    return (_TO_POINTS.T @ points).reshape(3, 3, c, o).permute(3, 2, 0, 1).contiguous()


def _channels_last(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b h w c"]:
    return x.permute(0, 2, 3, 1).contiguous()


def _fresh(shape: Sequence[int]) -> Float[Tensor, "b c h w"]:
    """Room for channels side by side; no view of another tensor, so that autograd may add to it in place."""
    return torch.empty(*shape, memory_format=torch.channels_last)


def _tiles(x: Float[Tensor, "b c h w"]) -> int:
    return len(x) * -(-x.shape[2] // 4) * -(-x.shape[3] // 4)


def _shared(count: int, work: Callable[[int, int], T]) -> list[T]:
    """What the threads return, each for its part of so many tiles or images."""
    threads = min(torch.get_num_threads(), count)
    cuts = [count * number // threads for number in range(threads + 1)]
    others = [_pool(threads - 1).submit(work, *cut) for cut in pairwise(cuts[1:])]
    return [work(cuts[0], cuts[1]), *(other.result() for other in others)]


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "convolutions")
