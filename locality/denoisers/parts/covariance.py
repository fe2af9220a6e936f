"""The derivative of models that average training images: a covariance under the model's own weights.

    x0_hat_q = sum_i w_i x_iq,   w = softmax_i(-scale / 2 |(x - x_i)_M|^2),   scale = 1 / (sigma^2 T)
    d x0_hat_q / d x_p = scale Cov_w[x_q, x_p] for p in M, else 0

Exact at an image, in float64. Only the coordinates M of q are read, once for the weights and once for all outputs that
share them; a backward pass goes through the whole model twice an output.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from locality.denoisers.parts.bank import Bank
from locality.types import ImageShape, Pixel
from locality.work import heartbeat

_MOST = 4096  # images a product runs over
Group = tuple[Int[Tensor, " g"], Int[Tensor, " u"]]  # coordinates that share their weights, and those they compare


def posterior_rows(
    bank: Bank,
    x: Float[Tensor, "b d"],
    outputs: Float[Tensor, "m d"],
    scale: float,
    groups: Iterable[Group],
    *,
    neighbours: int = 0,
) -> Float[Tensor, "m b d"]:
    """outputs @ J(x) of every image, type of x.

    Args:
        groups: for every coordinate that an output reads, the group it is in; groups that none reads cost nothing.
        neighbours: average only that many nearest images; 0 for all.

    Memory: 16 n bytes an image beside the budget of the bank, as many images at a time as fit it.
    """
    found = torch.zeros(len(outputs), *x.shape, dtype=torch.float64, device=x.device)
    size = max(1, bank.memory // (16 * len(bank)))
    for members, compared in groups:
        reading = outputs[:, members].any(dim=1).nonzero().flatten()
        for start in range(0, len(x) if len(reading) else 0, size):
            near = x[start : start + size].double()[:, compared]
            values = outputs[reading][:, members].double()
            part = scale * _covariance(bank, near, members, compared, values, scale, neighbours)
            found[reading[:, None, None], torch.arange(start, start + len(near))[:, None], compared] += part
    return found.to(x.dtype)


def pixels_read(outputs: Float[Tensor, "m d"], shape: ImageShape) -> list[Pixel]:
    """The pixels that any of the outputs reads."""
    places = outputs.reshape(len(outputs), shape.c, -1).any(dim=1).any(dim=0).nonzero().flatten()
    return [Pixel(place // shape.w, place % shape.w) for place in places.tolist()]


def _covariance(
    bank: Bank,
    near: Float64[Tensor, "b u"],
    members: Int[Tensor, " g"],
    compared: Int[Tensor, " u"],
    values: Float64[Tensor, "v g"],
    scale: float,
    neighbours: int,
) -> Float64[Tensor, "v b u"]:
    """Cov_w[values . x_i, x_i] at the coordinates that are compared."""
    size = bank.fit(16 * (len(members) + len(compared)), most=_MOST)
    logits = torch.cat(
        [(near @ x_ku.T - 0.5 * x_ku.square().sum(dim=1)) * scale for x_ku in _read(bank, compared, size)], dim=1
    )
    if 0 < neighbours < logits.shape[1]:
        logits[logits < logits.topk(neighbours, dim=1).values[:, -1:]] = -torch.inf
    weights = logits.softmax(dim=1)
    read = torch.cat([x_kg @ values.T for x_kg in _read(bank, members, size)]).T  # what each output reads in each image
    means = read @ weights.T  # [v b]
    total, start = near.new_zeros(len(values), *near.shape), 0
    for x_ku in _read(bank, compared, size):
        here = slice(start, start + len(x_ku))
        for v, mean in enumerate(means):
            total[v] += (weights[:, here] * (read[v, here] - mean[:, None])) @ x_ku
        start += len(x_ku)
        heartbeat(start / len(bank))
    return total


def _read(bank: Bank, coords: Int[Tensor, " p"], size: int) -> Iterable[Float64[Tensor, "k p"]]:
    return bank.columns(coords.to(bank.device), size, torch.float64)
