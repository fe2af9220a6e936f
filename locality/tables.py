"""Fields as bytes: 8 bits a value, one scale a row, so that a browser holds a whole table.

    code = 128 + sign(v) * round(127 * sqrt(|v| / scale)),   scale = max |v| of the row

The square root keeps the tails visible: the error is at most 0.8 % of the row's maximum, and far
less near zero. Size: one byte per (noise level, pixel, input pixel).
"""

from __future__ import annotations

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from locality.schedule import log_grid

SIGMA_LOW, SIGMA_HIGH = 0.05, 20.0  # range of the noise slider, units of x0
TABLE_SIGMAS = tuple(log_grid(SIGMA_LOW, SIGMA_HIGH, 12))  # noise levels of a predicted table
LEARNED_SIGMAS = TABLE_SIGMAS[1::2]  # ... of a learned one: every second level of the predicted


def encode_rows(rows: Float[Tensor, "*p q"]) -> tuple[UInt8[Tensor, "*p q"], Float[Tensor, "*p"]]:
    """Codes and scales of field rows; an all-zero row has scale 0."""
    scale = rows.abs().amax(dim=-1)
    relative = rows / torch.where(scale > 0, scale, 1.0)[..., None]
    codes = 128 + relative.sign() * (127 * relative.abs().sqrt()).round()
    return codes.to(torch.uint8), scale.float()


def decode_rows(codes: UInt8[Tensor, "*p q"], scale: Float[Tensor, "*p"]) -> Float[Tensor, "*p q"]:
    """The rows that `encode_rows` coded."""
    signed = (codes.float() - 128) / 127
    return signed * signed.abs() * scale[..., None]
