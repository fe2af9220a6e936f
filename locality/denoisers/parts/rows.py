"""A batch in parts that fit the memory, each told as it is finished."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from locality.work import heartbeat


def in_parts(
    x: Float[Tensor, "b d"], rows: int, answer: Callable[[Float[Tensor, "k d"]], Float[Tensor, "k e"]]
) -> Float[Tensor, "b e"]:
    """The answers to `rows` images at a time, at least one."""
    answers: list[Tensor] = []
    for part in x.split(max(1, rows)):
        answers.append(answer(part))
        heartbeat(sum(map(len, answers)) / max(1, len(x)))
    return torch.cat(answers)
