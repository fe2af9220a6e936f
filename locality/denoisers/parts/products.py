"""Products of a mask with training images, for a block of noisy ones: the inner loop of the masked models.

    near[b, m, k] = sum_p rows[m, p] (x_bp x_kp - x_kp^2 / 2) / sigma^2   up to a term the same for all k

In floats as it stands; or, for 8-bit images, in integers: pixels minus 128 are exact in 8 bits, the
noisy image keeps 15 bits in two parts, and sums are exact in 32 bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int, Int8
from torch import Tensor

from locality.device import fast_integers

Near = Callable[[Float[Tensor, "m u"], Int[Tensor, " u"] | None], Float[Tensor, "b m k"]]
_ERROR = 5e-4  # of a logit, below which integer products serve
_TOP = 127 * 128 + 63  # largest size of the 15-bit code: high * 128 + low, both in 8 bits


@runtime_checkable
class Products(Protocol):
    """The products of a block of noisy images with any chunk of items [d k] in [-1, 1]."""

    def of(self, items: Float[Tensor, "d k"]) -> Near: ...


def products_for(
    x: Float[Tensor, "b d"], sigma: float, noise: float, support: float, *, is_8bit: bool
) -> Callable[[Float[Tensor, "b d"]], Products]:
    """Integer products where they leave logits right to 0.0005, else products in the type of x.

    Coding x moves a logit by step / sqrt(12) * |x_i| / noise^2, |x_i| about sqrt(support) / 2; noise is sigma sqrt(T).
    """
    step = (1.0 + 4.5 * sigma) / _TOP
    error = step / 12**0.5 * 0.5 * support**0.5 / noise**2
    exact_enough = error < _ERROR and x.dtype == torch.float32 and not x.requires_grad
    if is_8bit and exact_enough and fast_integers(x.device.type):
        return lambda queries: IntegerProducts(queries, 1.0 / noise**2)
    return lambda queries: FloatProducts(queries, 1.0 / noise**2)


class FloatProducts:
    """In the type of x; differentiable."""

    def __init__(self, x: Float[Tensor, "b d"], scale: float) -> None:
        self.scale, self.x = scale, x * scale

    def of(self, items: Float[Tensor, "d k"]) -> Near:
        def near(rows: Float[Tensor, "m u"], columns: Int[Tensor, " u"] | None) -> Float[Tensor, "b m k"]:
            x = self.x if columns is None else self.x[:, columns]
            there = items if columns is None else items.index_select(0, columns)
            mask = rows.to(x)
            products = (x[:, None] * mask).flatten(0, 1) @ there
            return products.reshape(len(x), len(rows), -1) - (mask @ there.square()) * (0.5 * self.scale)

        return near


class IntegerProducts:
    """For 8-bit images, float32 and no gradient.

    With p = u - 128 a pixel is (p + 1/2) / 127.5, so that up to constants in k
    x.x_k = sum x p / 127.5 and |x_k|^2 = sum p (p + 1) / 127.5^2.
    """

    def __init__(self, x: Float[Tensor, "b d"], scale: float) -> None:
        self.step = x.abs().amax(dim=1).clamp(min=1e-30) / _TOP
        code = (x / self.step[:, None]).round()
        high = (code / 128).round()
        self.parts = torch.stack([high, code - 128 * high]).to(torch.int8)  # [2 b d]
        self.scale = scale

    def of(self, items: Float[Tensor, "d k"]) -> Near:
        p = (items * 127.5 - 0.5).round()
        square = p * (p + 1.0)  # 0..16256: 14 bits, in two parts as well
        coarse = (square / 128).floor()
        coded = torch.stack([p, coarse, square - 128 * coarse]).to(torch.int8)  # [3 d k]
        step = (self.step * (self.scale / 127.5))[:, None, None]

        def near(rows: Float[Tensor, "m u"], columns: Int[Tensor, " u"] | None) -> Float[Tensor, "b m k"]:
            parts = self.parts if columns is None else self.parts[:, :, columns]
            there = coded if columns is None else coded.index_select(1, columns)
            mask = rows.to(torch.int8).to(parts.device)
            weights = (parts[:, :, None] * mask).flatten(0, 2)
            high, low = _integer_product(weights, there[0]).reshape(2, parts.shape[1], len(mask), -1)
            own = _integer_product(mask, there[1]).float().mul_(128.0).add_(_integer_product(mask, there[2]))
            found: Tensor = high.float().mul_(128.0).add_(low).mul_(step)
            return found.sub_(own.mul_(0.5 * self.scale / 127.5**2))

        return near


def _integer_product(left: Int8[Tensor, "a u"], right: Int8[Tensor, "u k"]) -> Int[Tensor, "a k"]:
    """left @ right in 32 bits; padded by zeros to what integer tensor cores ask for."""
    a, u, k = len(left), left.shape[1], right.shape[1]
    if not u:
        return torch.zeros(a, k, dtype=torch.int32, device=left.device)
    if left.device.type == "cuda":
        pad = torch.nn.functional.pad
        left, right = pad(left, (0, -u % 8, 0, max(-a % 8, 24 - a))), pad(right, (0, -k % 8, 0, -u % 8))
    product: Tensor = torch._int_mm(left, right.contiguous())
    return product[:a, :k]
