"""A training moment by moment, in the browser: a recording that comes with the repository, or one of this machine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from locality.fields.codec import encode_rows
from locality.networks import HELD_OUT_SIGMA
from locality.studies import Preview, Recording
from pages._ui.lab.mount import Component

_RECORDED = Component(Path(__file__).parent, "train_recording")
_WATCHED = Component(Path(__file__).parent, "train_moments")


def show_recording(made: Recording) -> None:
    """Play it from the start; it opens at the end, where there is most to see."""
    head = {
        "context": f"{made.dataset} {made.name} {made.images[-1]}",
        "shape": list(made.shape),
        "images": list(made.images),
        "minutes": list(made.minutes),
        "sigmas": list(made.sigmas),
        "pixels": [list(pixel) for pixel in made.pixels],
        "level": len(made.sigmas) // 2,
        "errors": made.errors.double().tolist(),
        "errorImages": list(made.images),
        "errorSigmas": list(made.error_sigmas),
        "count": made.samples.shape[1],
        "note": f"Learned: the mean of {made.draws} Jacobian rows at noisy held-out images; one symmetric-logarithmic "
        f"colour scale for both. Errors on {made.held_out} held-out images.",
    }
    _RECORDED.show(head, _arrays(made.predicted, made.learned, made.samples))


def show_preview(key: str, preview: Preview, lines: Sequence[dict[str, float]]) -> None:
    """A training of this machine, so far; with its held-out error at one noise level."""
    frames, errors = preview.frames, held_out_ratios(lines)
    head = {
        "context": key,
        "shape": list(preview.shape),
        "images": [frame.images for frame in frames],
        "minutes": [frame.seconds / 60 for frame in frames],
        "sigmas": [preview.sigma],
        "pixels": [list(preview.pixel)],
        "level": 0,
        "errors": [[ratio] for _, ratio in errors],
        "errorImages": [images for images, _ in errors] or [0],
        "errorSigmas": [HELD_OUT_SIGMA],
        "count": len(frames[0].samples),
        "note": "Learned: the mean of 8 Jacobian rows at noisy held-out images; one symmetric-logarithmic colour scale "
        "for both.",
    }
    learned = torch.stack([frame.learned for frame in frames])
    samples = torch.stack([frame.samples for frame in frames])
    _WATCHED.show(head, _arrays(preview.predicted, learned, samples))


def held_out_ratios(lines: Sequence[dict[str, float]]) -> list[tuple[int, float]]:
    """Images seen and test MSE over the Wiener filter's, each measurement once: the first line that has it."""
    points: dict[float, int] = {}
    for line in lines:
        ratio = line.get("held_out_ratio", math.nan)
        if math.isfinite(ratio):
            points.setdefault(ratio, int(line["images"]))
    return [(images, ratio) for ratio, images in points.items()]


def _arrays(predicted: Tensor, learned: Tensor, samples: Tensor) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {"samples": np.ascontiguousarray(samples.numpy())}
    for name, fields in (("predicted", predicted), ("learned", learned)):
        codes, scale = encode_rows(fields.float().flatten(-2))
        arrays |= {name: codes.numpy(), f"{name}Scale": scale.reshape(-1).numpy()}
    return arrays
