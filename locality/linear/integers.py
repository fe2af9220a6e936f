"""Products of 8-bit pixels without rounding."""

from __future__ import annotations

import torch
from jaxtyping import Int, Int8, UInt8
from torch import Tensor

from locality.device import fast_integers

EXACT_INT32 = 131_071  # products of int8 pixels whose sum cannot leave int32: (2^31 - 1) // 128^2
_EXACT_FLOAT32 = 1024  # ... cannot leave the integers float32 holds: 2^24 // 128^2


def shifted(pixels: UInt8[Tensor, "k d"]) -> Int8[Tensor, "k d"]:
    """8-bit pixels minus 128."""
    return pixels.bitwise_xor(128).view(torch.int8)  # in two's complement


def integer_product(left: Int8[Tensor, "a k"], right: Int8[Tensor, "k b"]) -> Int[Tensor, "a b"]:
    """left @ right without rounding."""
    if fast_integers(left.device.type):
        product: Tensor = torch._int_mm(left, right.contiguous())
        return product
    return _product_by_floats(left, right)


def _product_by_floats(left: Int8[Tensor, "a k"], right: Int8[Tensor, "k b"]) -> Int[Tensor, "a b"]:
    """The same where integer products are slow or missing: float32 over as many images as stay exact."""
    parts = (
        left[:, k : k + _EXACT_FLOAT32].float() @ right[k : k + _EXACT_FLOAT32].float()
        for k in range(0, left.shape[1], _EXACT_FLOAT32)
    )
    return torch.stack([part.long() for part in parts]).sum(dim=0)
