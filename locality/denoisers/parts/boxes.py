"""Sums over square windows of maps, at a cost that does not depend on their size."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from locality.types import ImageShape

_CPU = torch.device("cpu")


def box(
    planes: Float[Tensor, "h w k"], rows: Float[Tensor, "a h"], cols: Float[Tensor, "e w"]
) -> Float[Tensor, "a e k"]:
    """Sums over windows as two products with band matrices: no rounding of running sums, any size at one cost."""
    h, w, k = planes.shape
    down = (rows @ planes.reshape(h, w * k)).reshape(len(rows), w, k)
    return torch.matmul(cols, down)


def cut_bands(n: int, size: int, device: torch.device = _CPU) -> Float[Tensor, "n n"]:
    """Windows of `size` around each of n places, cut at the ends."""
    places = torch.arange(n, device=device)
    return ((places[:, None] - places).abs() <= size // 2).float()


def inner_bands(n: int, size: int, device: torch.device = _CPU) -> Float[Tensor, "m n"]:
    """Windows of `size` that lie inside n places, by their first place."""
    places = torch.arange(n, device=device)
    start = torch.arange(n - size + 1, device=device)[:, None]
    return ((places >= start) & (places < start + size)).float()


def round_bands(n: int, size: int) -> Float[Tensor, "n n"]:
    """Windows of `size` around each of n places on a circle; none counts a place twice."""
    places = torch.arange(n)
    apart = (places[:, None] - places).abs()
    return (torch.minimum(apart, n - apart) <= size // 2).float()


def planes(x: Float[Tensor, "k d"], shape: ImageShape) -> Float[Tensor, "c h w k"]:
    """Images with the image axis last, so that every operation runs along memory."""
    return x.T.contiguous().reshape(*shape, len(x))


def squared_difference(x: Float[Tensor, "c h w"], items: Float[Tensor, "c h w k"]) -> Float[Tensor, "h w k"]:
    """||x - x_i||^2 at every pixel, summed over channels."""
    apart = x[..., None]
    if x.requires_grad:
        return (items - apart).square().sum(dim=0)
    total = (items[0] - apart[0]).square_()
    for channel in range(1, len(items)):
        difference = items[channel] - apart[channel]
        total.addcmul_(difference, difference)
    return total
