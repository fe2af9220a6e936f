"""Networks of convolutions made quick on a CPU, by compiled loops where Numba runs."""

from __future__ import annotations

from collections.abc import Generator
from functools import cache
from types import ModuleType

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from locality.work import Progress

_LEAST = 32  # channels, from which it is quicker


@cache
def _layers() -> tuple[ModuleType, ModuleType] | None:
    """Convolutions and normalisations; None where Numba is missing or does not run, or vectors have four lanes only.

    Loading them takes half a second, so they are loaded when first asked.
    """
    try:
        from locality.networks.parts import group_norm, winograd
    except (ImportError, OSError):
        return None
    return (winograd, group_norm) if winograd.LANES >= 8 else None


def can_be_quick(net: nn.Module) -> bool:
    """Whether it has plain 3x3 convolutions of at least 32 channels, in whole vectors, and loops for them run here."""
    return any(_serves(part) for part in net.modules())


def quicken(net: nn.Module) -> bool:
    """Switch a network to quick layers where they apply, in float32 on a CPU. Returns whether it changed any.

    Weights and their names stay as they are. Values are best in the order channels_last.
    """
    if not can_be_quick(net) or (layers := _layers()) is None:
        return False
    winograd, group_norm = layers
    for part in net.modules():
        if _serves(part):
            part.__class__ = winograd.Winograd
        elif type(part) is nn.Conv2d and _is_product(part):
            part.__class__ = Product
        elif type(part) is nn.GroupNorm and part.bias is not None and part.num_channels % winograd.LANES == 0:
            part.__class__ = group_norm.GroupNorm
    return True


def ready(net: nn.Module) -> Generator[Progress, None, None]:
    """Compile the loops that a quickened network needs, which Numba keeps; says so where it is not yet done here."""
    if not any(isinstance(part, nn.Conv2d) for part in net.modules()) or (layers := _layers()) is None:
        return
    if not any(isinstance(part, layers[0].Winograd) for part in net.modules()):
        return
    winograd, group_norm = layers
    if winograd.loops.correlate.signatures and group_norm.loops.back.signatures:
        return
    yield Progress(0.0, 1.0, f"Convolutions for this processor (compiled {winograd.loops.KEPT})")
    x = torch.zeros(1, _LEAST, 1, 1, dtype=torch.float32, device="cpu", requires_grad=True)
    conv, norm = winograd.Winograd(_LEAST, _LEAST, 3, padding=1), group_norm.GroupNorm(1, _LEAST)
    with torch.enable_grad():
        norm.float()(conv.float()(x)).sum().backward()


class Product(nn.Conv2d):
    """A 1x1 convolution as the matrix product that it is, of channels that lie side by side."""

    def forward(self, input: Float[Tensor, "*b c h w"]) -> Float[Tensor, "*b o h w"]:
        if input.dim() != 4:
            return super().forward(input)
        return functional.linear(input.permute(0, 2, 3, 1), self.weight[:, :, 0, 0], self.bias).permute(0, 3, 1, 2)


def _serves(conv: nn.Module) -> bool:
    if type(conv) is not nn.Conv2d:
        return False
    shape = (conv.kernel_size, conv.stride, conv.padding, conv.dilation, conv.groups, conv.padding_mode)
    channels = (conv.in_channels, conv.out_channels)
    if shape != ((3, 3), (1, 1), (1, 1), (1, 1), 1, "zeros") or min(channels) < _LEAST:
        return False  # before anything is loaded
    layers = _layers()
    return layers is not None and all(number % layers[0].LANES == 0 for number in channels)


def _is_product(conv: nn.Conv2d) -> bool:
    return (conv.kernel_size, conv.stride, conv.padding, conv.groups) == ((1, 1), (1, 1), (0, 0), 1)
