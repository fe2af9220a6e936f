"""Untrained networks stand for several initialisations: the mean of all, and their spread."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from locality.fields.similarity import Similarity

PAIRS = ("value", "stderr", "low", "high", "plain", "chance", "spread", "pixels")


def joined(whole: Similarity | None, few: Similarity | None, counts: Sequence[int]) -> Similarity:
    """One row for each model. Error and interval of a pair with several initialisations are those over them.

    Args:
        whole: of the models that are one each, in order; None where there are none.
        few: of all, every initialisation with a row; None where all are one each.
        counts: initialisations of each model, in order.
    """
    if few is None:
        assert whole is not None
        return whole
    places = torch.arange(sum(counts)).split(list(counts))
    n = len(counts)
    made = {name: torch.full((n, n), torch.nan, dtype=torch.float64) for name in PAIRS}
    reliability = torch.stack([few.reliability[rows].mean() for rows in places])
    for i in range(n):
        for j in range(n):
            for name, value in _pair(few, places[i], places[j], i == j).items():
                made[name][i, j] = value
    if whole is not None:
        single = torch.tensor([i for i, count in enumerate(counts) if count == 1])
        for name in PAIRS:
            made[name][single[:, None], single] = getattr(whole, name).double()
        reliability[single] = whole.reliability
    made["pixels"] = made["pixels"].to(torch.int64)
    return Similarity(**made, reliability=reliability)


def _pair(few: Similarity, rows: Tensor, columns: Tensor, same: bool) -> dict[str, float]:
    """Mean, spread and interval over initialisations of one pair of models; of one with itself every r is 1."""
    from scipy.special import stdtrit  # a fifth of a second that other commands need not wait

    values = few.value[rows][:, columns].flatten()
    count = max(len(rows), len(columns))
    mean, spread = float(values.mean()), float(values.std()) if count > 1 else torch.nan
    stderr = spread / count**0.5
    away = float(stdtrit(count - 1, 0.975)) * stderr if count > 1 else torch.nan
    found = {"value": mean, "stderr": stderr, "low": mean - away, "high": mean + away, "spread": spread}
    found["plain"] = float(few.plain[rows][:, columns].mean())
    if same:
        found = {**dict.fromkeys(found, 1.0), "stderr": 0.0, "spread": 0.0}
    found["chance"] = float(few.chance[rows][:, columns].mean())
    found["pixels"] = float(few.pixels[rows][:, columns].min())
    return found
