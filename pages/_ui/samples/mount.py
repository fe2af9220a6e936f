"""What the grid shows: rows, steps and pictures, as bytes for the browser."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from locality.datasets import Source
from locality.studies import Sampling
from pages._ui.lab.mount import Component
from pages._ui.samples.pace import cost_words
from pages._ui.samples.rows import Row

COMPONENT = Component(Path(__file__).parent, "samples_grid", "pick")
_BUDGET = 8 * 10**6  # bytes sent to the browser; of longer trajectories only some steps


def grid(source: Source, rows: Sequence[Row], sampling: Sampling, pick: list[int] | None, context: str) -> None:
    """Show the rows; the clicked pixel comes back through the session state, see `picked`."""
    shown = shown_steps(len(rows), sampling, source.shape.d)
    head: dict[str, Any] = {
        "context": context,
        "name": source.text,
        "shape": list(source.shape),
        "count": sampling.count,
        "sigmas": sampling.sigmas(),
        "shown": shown,
        "pick": pick,
        "images": source.available,
        "rows": [_reported(row, sampling) for row in rows],
    }
    arrays: dict[str, NDArray[np.uint8]] = {}
    for i, row in enumerate(rows):
        arrays |= {f"{name}{i}": part for name, part in _pictures(row, sampling, shown).items()}
        if row.nearest is not None and source.available:
            arrays[f"near{i}"] = bytes_of(source.train.x0(row.nearest.rows))
    COMPONENT.show(head, arrays)


def shown_steps(models: int, sampling: Sampling, d: int) -> list[int]:
    """Numbers of the steps sent to the browser: all of them where they fit, else evenly spaced with both ends."""
    fit = max(2, _BUDGET // max(2 * models * sampling.count * d, 1))
    if sampling.steps <= fit:
        return list(range(sampling.steps))
    return sorted({round(i * (sampling.steps - 1) / (fit - 1)) for i in range(fit)})


def bytes_of(x: Tensor) -> NDArray[np.uint8]:
    """Images in [-1, 1] as pixels; values outside are clipped."""
    return ((x + 1) * 127.5).round().clamp(0, 255).byte().numpy()


def _pictures(row: Row, sampling: Sampling, shown: list[int]) -> dict[str, NDArray[np.uint8]]:
    if row.x is None or row.x0_hat is None:
        return {}
    steps = torch.tensor([step for step in shown if step < row.drawn] or [row.drawn - 1])
    sigmas = torch.tensor(sampling.sigmas())[steps]
    return {
        "x0_hat": bytes_of(row.x0_hat[steps]),
        "x": bytes_of(row.x[steps] / (1 + sigmas.square()).sqrt()[:, None, None]),
    }


def _reported(row: Row, sampling: Sampling) -> dict[str, Any]:
    reported: dict[str, Any] = {"text": row.text, "about": row.about, "paper": row.paper, "note": row.note}
    reported |= {"state": _state(row, sampling.steps), "drawn": row.drawn, "error": row.error}
    reported |= {"done": row.state == "done"}
    if row.nearest is not None:
        near = row.nearest
        reported["near"] = [near.rows.tolist(), near.distances.tolist(), _finite(near.seconds)]
    return reported


def _asked(row: Row) -> str:
    words = cost_words(row)
    return f"Not generated yet: {words}" if words else "Not generated yet"


def _finite(values: Tensor) -> list[float | None]:
    return [value if np.isfinite(value) else None for value in values.tolist()]


def _state(row: Row, steps: int) -> str:
    if row.state == "running":
        return f"Step {row.drawn} of {steps}" if row.drawn else "Starting"
    if row.state == "cancelled":
        return f"Cancelled after step {row.drawn} of {steps}" if row.drawn else "Cancelled"
    return {"waiting": "Waiting", "asked": _asked(row), "failed": "Cannot run", "done": ""}[row.state]
