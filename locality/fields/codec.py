"""Fields as bytes: 8 bits a value, one scale a row, so that a browser holds a whole table.

    code = 128 + sign(v) * round(127 * sqrt(|v| / scale)),   scale = max |v| of the row

The square root keeps the tails visible: the error is at most 0.8 % of the row's maximum, and far
less near zero. Size: one byte per (noise level, pixel, input pixel).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

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


def weights_about(levels: Sequence[float], sigma: float) -> list[tuple[int, float]]:
    """The (up to four) increasing levels about sigma and the weights of the cubic through them in ln sigma.

    The weights sum to 1; outside the levels they are those of the nearest one.
    """
    x = math.log(min(max(sigma, levels[0]), levels[-1]))
    below = sum(level <= sigma for level in levels) - 1
    first = max(0, min(below - 1, len(levels) - 4))
    nodes = range(first, min(first + 4, len(levels)))
    ln = [math.log(level) for level in levels]
    return [(k, math.prod((x - ln[j]) / (ln[k] - ln[j]) for j in nodes if j != k)) for k in nodes]


def mix_rows(codes: UInt8[Tensor, "n q"], scale: Float[Tensor, " n"], weights: Sequence[float]) -> Float[Tensor, " q"]:
    """A row between noise levels: shapes are mixed linearly, scales geometrically.

    A field falls as 1 / sigma^2 where noise is large, a straight line of ln scale: midway between the
    levels of a predicted table the error is about 1 % of the row's maximum, with scales mixed linearly 15 %.
    """
    if not bool((scale > 0).all()):
        return torch.zeros(codes.shape[1])
    weight = torch.tensor(weights, dtype=torch.float64)
    shape = (weight[:, None] * decode_rows(codes, torch.ones(len(codes)))).sum(dim=0)
    row: Float[Tensor, " q"] = (shape * (weight * scale.double().log()).sum().exp()).float()
    return row
