"""Procedural aligned faces: parts co-vary across the face, so their fields are non-local.

Both eyes share a size, a colour and an opening; skin and light span the whole face; hair frames
it. Stripes, strands, glasses, colours of a few values and snow are what a linear filter cannot follow.
Only +, -, *, / and min/max of IEEE floats and uniform PCG64 draws are used, so every machine
makes the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from locality.dataset import Dataset
from locality.datasets.parts.spec import DATASETS, DatasetInfo, DatasetSpec, Split
from locality.specs import param
from locality.types import ImageShape

Array = NDArray[np.float32]
_SIDE, _BLOCK = 32, 500
_SEEDS = {"train": 20_250_909, "test": 9_672}


@DATASETS.register("faces")
@dataclass(frozen=True)
class Faces(DatasetSpec):
    """Faces drawn from some thirty independent attributes; `variation` scales their spread."""

    variation: float = param(1.0, help="Spread of every attribute about its mean; 0 draws one face.", low=0.0, high=1.0)

    examples: ClassVar[tuple[str, ...]] = ("faces", "faces:variation=0.5")
    info: ClassVar[DatasetInfo] = DatasetInfo(
        title="Procedural faces",
        source="drawn by this project, no photographs",
        licence="MIT",
        about="Aligned synthetic faces in snow, 32x32 colour: one eye predicts the other, so fields are non-local.",
    )
    look: ClassVar[str] = "an eye"
    fingerprints: ClassVar[dict[str, str]] = {
        "train": "fad95e29c474404dd9d506a31a20df25152a6ef0299df93d24876fbe8de08836",
        "test": "7cbdb31f243d811b557a9f32c8c873357611d20d1b45690c88d5683d19d5635b",
    }

    @property
    def shape(self) -> ImageShape:
        return ImageShape(3, _SIDE, _SIDE)

    def count(self, split: Split = "train") -> int:
        return {"train": 10_000, "test": 1_000}[split]

    def load(self, split: Split = "train") -> Dataset:
        draws = np.random.Generator(np.random.PCG64(_SEEDS[split]))
        blocks = []
        for start in range(0, self.count(split), _BLOCK):
            size = min(_BLOCK, self.count(split) - start)
            uniform = draws.random((size, len(_RANGES) + _SIDE * _SIDE), dtype=np.float32)
            blocks.append(_draw(uniform, np.float32(self.variation)))
        return Dataset(self.name, split, self.shape, torch.from_numpy(np.concatenate(blocks)))


# Attribute -> (low, high), uniform and independent. Lengths in half image sides, colours in [0, 1],
# stripes in cycles per half side. Attributes named in _LEVELS take a few values only.
_RANGES: dict[str, tuple[float, float]] = {
    "background": (0.1, 0.95),
    "tint": (-0.2, 0.2),
    "stripe_x": (-2.2, 2.2),
    "stripe_y": (-2.2, 2.2),
    "stripe_phase": (0.0, 1.0),
    "stripe_depth": (0.3, 0.75),
    "hair": (0.05, 0.85),
    "hair_length": (0.05, 0.8),
    "fringe": (0.1, 0.4),
    "strands": (1.5, 3.2),
    "strand_phase": (0.0, 1.0),
    "skin": (0.35, 0.95),
    "warmth": (0.0, 0.12),
    "light_x": (-0.35, 0.35),
    "light_y": (-0.3, 0.1),
    "width": (0.5, 0.66),
    "eye_gap": (0.2, 0.3),
    "eye_open": (0.05, 0.13),
    "iris": (0.0, 1.0),
    "gaze": (-0.05, 0.05),
    "brow": (0.17, 0.27),
    "smile": (-0.1, 0.22),
    "mouth_open": (0.03, 0.12),
    "beard": (0.0, 0.75),
    "glasses": (0.0, 1.0),
    "shirt_red": (0.05, 0.95),
    "shirt_green": (0.05, 0.95),
    "shirt_blue": (0.05, 0.95),
}
_SNOW = np.float32(0.05)  # share of pixels under a snowflake
_LEVELS = {"background": 3, "hair": 4, "beard": 2, "glasses": 2, "shirt_red": 2, "shirt_green": 2, "shirt_blue": 2}


def _attributes(uniform: Array, variation: np.float32) -> dict[str, Array]:
    """Draws in [0, 1), [n, attributes] -> each attribute as [n, 1, 1]."""
    half, one = np.float32(0.5), np.float32(1)
    made = {}
    for i, (name, (low, high)) in enumerate(_RANGES.items()):
        draw = uniform[:, i]
        if name in _LEVELS:
            levels = np.float32(_LEVELS[name])
            draw = np.floor(draw * levels) / (levels - one)
        spread = half + variation * (draw - half)
        made[name] = (np.float32(low) + np.float32(high - low) * spread)[:, None, None]
    return made


def _draw(uniform: Array, variation: np.float32) -> NDArray[np.uint8]:
    """Draws in [0, 1) of attributes and of every pixel's snow, [n, a + 32 * 32] -> pixels, [n, 3 * 32 * 32]."""
    half = np.float32(0.5)
    a = _attributes(uniform, variation)
    axis = (np.arange(_SIDE, dtype=np.float32) + half) / np.float32(_SIDE / 2) - np.float32(1)
    x, y = axis[None, None, :], axis[None, :, None]
    canvas = _Canvas(len(uniform), _rgb(a["background"] - a["tint"], a["background"], a["background"] + a["tint"]))
    stripes = _stripes(a["stripe_x"] * x + a["stripe_y"] * y + a["stripe_phase"])
    light = 1 - a["background"]  # stripes lead from the backdrop towards its opposite
    canvas.paint(stripes * a["stripe_depth"], _rgb(light, light - a["tint"], light))

    strand = 0.75 + 0.5 * _stripes(a["strands"] * x + a["strand_phase"])
    hair = _rgb(*(c * strand for c in (a["hair"] * 0.95 + 0.05, a["hair"] * 0.75, a["hair"] * 0.5)))
    skin = _rgb(a["skin"] + a["warmth"], a["skin"] * 0.82, a["skin"] * 0.7 - a["warmth"])
    shade = 1 + a["light_x"] * x + a["light_y"] * y
    canvas.paint(_ellipse(x, y + 0.22, a["width"] + 0.16, 0.72), hair)
    canvas.paint(_box(x, y - a["hair_length"] * half, a["width"] + 0.14, 0.25 + a["hair_length"] * half), hair)
    canvas.paint(_ellipse(x, y - 1.15, 0.85, 0.36), _rgb(a["shirt_red"], a["shirt_green"], a["shirt_blue"]))
    canvas.paint(_box(x, y - 0.85, 0.24, 0.12), [c * 0.85 * shade for c in skin])  # neck
    face = _ellipse(x, y - 0.05, a["width"], 0.74)
    canvas.paint(face, [c * shade for c in skin])
    jaw = np.clip((y - 0.25) * np.float32(4), np.float32(0), np.float32(1))
    canvas.paint(face * jaw * a["beard"], hair)
    canvas.paint(_ellipse(x, y + 0.72, a["width"] * 0.9, a["fringe"]), hair)

    iris = _rgb(0.25 - 0.15 * a["iris"], 0.2 + 0.25 * a["iris"], 0.1 + 0.6 * a["iris"])
    white, lip = _grey(shade * 0.93), [skin[0] * 0.85 * shade, skin[1] * 0.45 * shade, skin[2] * 0.5 * shade]
    dark = _grey(0.12 * shade)
    for sign in (-1, 1):
        ex = x - sign * a["eye_gap"]
        canvas.paint(a["glasses"] * _ellipse(ex, y + 0.12, 0.2, 0.2), dark)
        canvas.paint(a["glasses"] * _ellipse(ex, y + 0.12, 0.15, 0.15), [c * shade for c in skin])
        canvas.paint(_ellipse(ex, y + 0.12, 0.13, a["eye_open"]), white)
        canvas.paint(_ellipse(ex - a["gaze"], y + 0.12, 0.065, np.minimum(a["eye_open"], np.float32(0.075))), iris)
        canvas.paint(_box(ex, y + 0.12 + a["brow"], 0.15, 0.035), [c * 0.8 for c in hair])
    canvas.paint(_ellipse(x, y - 0.14, 0.075, 0.15), [c * 0.86 * shade for c in skin])  # nose
    bend = a["smile"] * (1 - (x / np.float32(0.28)) * (x / np.float32(0.28)))
    canvas.paint(_ellipse(x, y - 0.42 - half * bend, 0.27, a["mouth_open"]), lip)
    flakes = uniform[:, len(_RANGES) :].reshape(-1, _SIDE, _SIDE) < _SNOW * variation
    canvas.paint(np.float32(0.85) * flakes.astype(np.float32), _grey(np.ones((1, 1, 1))))
    return canvas.bytes()


def _stripes(phase: Array) -> Array:
    """Soft stripes in [0, 1] of a phase in cycles: a clipped triangle wave, since sine differs between machines."""
    wave = np.abs(phase - np.floor(phase) - np.float32(0.5)) * np.float32(2)
    soft: Array = np.clip((wave - np.float32(0.5)) * np.float32(2.5) + np.float32(0.5), np.float32(0), np.float32(1))
    return soft


class _Canvas:
    """Three colour planes, painted back to front."""

    def __init__(self, n: int, background: list[Array]) -> None:
        self._planes = [np.broadcast_to(c, (n, _SIDE, _SIDE)).astype(np.float32) for c in background]

    def paint(self, cover: Array, colour: list[Array]) -> None:
        for plane, c in zip(self._planes, colour, strict=True):
            plane += cover * (c - plane)

    def bytes(self) -> NDArray[np.uint8]:
        image = np.clip(np.stack(self._planes, axis=1), np.float32(0), np.float32(1))
        pixels = (image * np.float32(255) + np.float32(0.5)).astype(np.uint8)
        return pixels.reshape(len(pixels), -1)


def _rgb(red: Array, green: Array, blue: Array) -> list[Array]:
    return [np.asarray(c, dtype=np.float32) for c in (red, green, blue)]


def _grey(value: NDArray[Any]) -> list[Array]:
    return [np.asarray(value, dtype=np.float32)] * 3


def _ellipse(x: Array, y: Array, rx: Array | float, ry: Array | float) -> Array:
    """Coverage in [0, 1] of an axis-aligned ellipse, soft over about one pixel."""
    u, v = x / np.asarray(rx, np.float32), y / np.asarray(ry, np.float32)
    inside = np.float32(1) - u * u - v * v
    edge = np.minimum(np.asarray(rx, np.float32), np.asarray(ry, np.float32)) * np.float32(_SIDE / 4)
    return np.asarray(np.clip(inside * edge + np.float32(0.5), np.float32(0), np.float32(1)), np.float32)


def _box(x: Array, y: Array, rx: Array | float, ry: Array | float) -> Array:
    """Coverage in [0, 1] of an axis-aligned box, soft over one pixel."""
    sharp = np.float32(_SIDE / 2)
    half, zero, one = np.float32(0.5), np.float32(0), np.float32(1)
    across = np.clip((np.asarray(rx, np.float32) - np.abs(x)) * sharp + half, zero, one)
    down = np.clip((np.asarray(ry, np.float32) - np.abs(y)) * sharp + half, zero, one)
    return np.asarray(across * down, np.float32)
