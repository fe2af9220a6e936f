"""An eigenbasis in a fifth of its size, for files that travel: quantised in the frequency domain, then packed.

Eigenvectors as images, their colours turned to grey and two differences, their pixels to cosines (both
orthonormal), are rounded with a step that grows as the component's gain falls: what hardly counts in any row is
stored coarsely, and zeros cost nothing. Colour differences cancel in fields summed over channels, so they may be
coarser. Blocks of like size lie side by side, where a plain Huffman code is short. How far rows are off is measured
on the exact ones and travels with the basis.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from locality.errors import BadInput
from locality.linear.blocks import LARGEST, STEP, pack_codes, unpack_codes
from locality.linear.stored import meta_error
from locality.linear.wiener import RowError, WienerFilter
from locality.schedule import check_sigma
from locality.store import Artifact
from locality.types import ImageShape

CODING = "cosines"
_SIGMAS = (1.0, 1.5, 2.5, 5.0, 10.0, 20.0, 80.0, 800.0)  # noise levels that count, in units of the lowest
_PIXELS = 128  # whose rows are measured
_GREY = ((1.0, 1.0, 1.0), (1.0, 0.0, -1.0), (1.0, -2.0, 1.0))


@dataclass(frozen=True)
class Tolerance:
    """Largest error a compact basis may make, over the largest value of a row, for noise levels from `sigma` on.

    `field`: rows summed over channels of the pixel and of the image; `row`: single rows, which may be coarser.
    """

    field: float
    row: float
    sigma: float = 0.1

    def __post_init__(self) -> None:
        check_sigma(self.sigma)
        if not 1e-4 <= self.field <= self.row <= 0.1:
            raise BadInput(
                f"A tolerance of {self.field:g} for fields and {self.row:g} for rows: give 1e-4 to 0.1, rows no less."
            )


def pack_compact(wiener: WienerFilter, tolerance: Tolerance) -> Artifact:
    """A filter as an artefact that keeps the tolerance: steps shrink until rows measured do."""
    scale, best = 0.5, math.inf
    while True:
        codes, steps = _quantise(wiener, tolerance, scale)
        near = replace(wiener, eigvecs=_restored(partial(_few, codes), steps, wiener.shape))
        error = measure_error(wiener, near, tolerance.sigma)
        excess = max(error.field / tolerance.field, error.row / tolerance.row)
        if excess <= 1.0:
            break
        if excess > 0.99 * best:
            raise BadInput(f"A compact basis cannot keep {tolerance.field:g} here: {error}. Allow more.")
        scale, best = scale * 0.9 / excess, excess
    still = (wiener.eigvecs.double().square() @ wiener.eigvals == 0).nonzero().flatten()  # their rows stay zeros
    arrays = {"mean": wiener.mean, "eigvals": wiener.eigvals, "steps": steps, "still": still, **pack_codes(codes)}
    meta = {
        "shape": list(wiener.shape),
        "count": wiener.count,
        "coding": CODING,
        "rest": wiener.rest,
        "error": asdict(error),
    }
    return Artifact(arrays, meta)


def is_compact(artifact: Artifact) -> bool:
    """Whether an artefact was made by `pack_compact`."""
    return artifact.meta.get("coding") == CODING


def unpack_compact(artifact: Artifact) -> WienerFilter:
    """The filter of an artefact made by `pack_compact`."""
    arrays, meta = artifact.arrays, artifact.meta
    shape: Any = ImageShape(*meta["shape"])
    steps = arrays["steps"]
    eigvecs = _restored(unpack_codes(arrays, len(steps), shape).part, steps, shape)
    eigvecs[arrays["still"]] = 0.0
    return WienerFilter(
        shape, int(meta["count"]), arrays["mean"], arrays["eigvals"], eigvecs, meta["rest"], meta_error(artifact)
    )


def measure_error(exact: WienerFilter, near: WienerFilter, sigma: float) -> RowError:
    """Largest differences of the rows of evenly spread pixels, over the largest values of the rows, from sigma on."""
    shape, hw = exact.shape, exact.shape.h * exact.shape.w
    pixels = torch.linspace(0, hw - 1, min(_PIXELS, hw)).long()
    coords = (torch.arange(shape.c)[:, None] * hw + pixels).flatten()
    field = row = 0.0
    for level in (sigma * factor for factor in _SIGMAS):
        true, found = exact.rows(coords, level), near.rows(coords, level)
        row = max(row, _relative(true, found))
        summed = (_summed(rows, shape) for rows in (true, found))
        field = max(field, _relative(*summed))
    about = f"measured on the rows of {len(pixels)} pixels at {len(_SIGMAS)} noise levels"
    return RowError(sigma, field, row, about)


def _summed(rows: Float[Tensor, "cp d"], shape: ImageShape) -> Float[Tensor, "p hw"]:
    return rows.reshape(shape.c, -1, shape.c, shape.h * shape.w).sum(dim=(0, 2))


def _relative(true: Float[Tensor, "p d"], found: Float[Tensor, "p d"]) -> float:
    size, varies = true.abs().amax(dim=1), true.abs().amax(dim=1) > 0
    return float(((found - true).abs().amax(dim=1) / size)[varies].max()) if bool(varies.any()) else 0.0


def _quantise(
    wiener: WienerFilter, tolerance: Tolerance, scale: float
) -> tuple[Int[Tensor, "k c hw"], Float[Tensor, "k c"]]:
    """Codes in order of frequency, and the step of every component and colour."""
    shape = wiener.shape
    images = wiener.eigvecs.T.reshape(-1, *shape)
    turned = torch.einsum("ij,kjhw->kihw", _colours(shape.c), images)
    rows, columns = _cosines(shape.h), _cosines(shape.w)
    found = (rows @ turned @ columns.T).flatten(2)[:, :, _frequencies(shape)]
    steps = _steps(wiener, tolerance, scale).float()
    steps = torch.maximum(steps, found.abs().amax(dim=2) / LARGEST)
    return (found / steps[:, :, None]).round().int(), steps


def _steps(wiener: WienerFilter, tolerance: Tolerance, scale: float) -> Float64[Tensor, "k c"]:
    """Steps by which all components are off by as much in the rows of the noise level at which each counts most."""
    c = wiener.shape.c
    hw = wiener.shape.h * wiener.shape.w
    coords = torch.linspace(0, hw - 1, min(_PIXELS, hw)).long()
    coords = (torch.arange(c)[:, None] * hw + coords).flatten()
    grey = coloured = torch.zeros(len(wiener.eigvals), dtype=torch.float64)
    for factor in _SIGMAS:
        gain, rows = wiener.gain(tolerance.sigma * factor), wiener.rows(coords, tolerance.sigma * factor)
        row, field = (float(part.abs().amax(dim=1).median()) for part in (rows, _summed(rows, wiener.shape)))
        grey = torch.maximum(grey, c * gain / max(field, 1e-30))
        coloured = torch.maximum(coloured, gain / max(row, 1e-30))
    floor = 1e-30
    fine, coarse = (
        scale * size / weight.clamp(min=floor) for size, weight in ((tolerance.field, grey), (tolerance.row, coloured))
    )
    return (
        torch.stack([torch.minimum(fine, coarse)] + [coarse] * (c - 1), dim=1)
        if c == 3
        else fine[:, None].expand(-1, c)
    )


def _few(codes: Int[Tensor, "k c hw"], start: int) -> Float[Tensor, "c hw m"]:
    return codes[start : start + STEP].permute(1, 2, 0).float()


def _restored(
    part: Callable[[int], Float[Tensor, "c hw k"]], steps: Float[Tensor, "k c"], shape: ImageShape
) -> Float[Tensor, "d k"]:
    """Eigenvectors, a few components at a time: `part` gives the codes of those from a number on.

    Components stay side by side, as they will lie: frequencies are put in order, and turned, in whole rows of them.
    """
    (c, h, w), back = shape, torch.argsort(_frequencies(shape))
    colours, rows, columns = _colours(c), _cosines(h), _cosines(w)
    eigvecs = torch.empty(shape.d, len(steps))
    for start in range(0, len(steps), STEP):
        found = part(start).index_select(1, back).mul_(steps[start : start + STEP].T[:, None])
        images = columns.T @ (rows.T @ found.reshape(c, h, -1)).reshape(c, h, w, -1)
        eigvecs[:, start : start + STEP] = (colours.T @ images.reshape(c, -1)).reshape(shape.d, -1)
    return eigvecs


def _cosines(n: int) -> Float[Tensor, "n n"]:
    """The orthonormal cosine transform (DCT-II), a frequency per row."""
    k, x = torch.arange(n, dtype=torch.float64)[:, None], torch.arange(n, dtype=torch.float64)[None, :]
    found = torch.cos(math.pi * (2 * x + 1) * k / (2 * n)) * math.sqrt(2 / n)
    found[0] /= math.sqrt(2)
    return found.float()


def _colours(c: int) -> Float[Tensor, "c c"]:
    """Grey and two differences of three channels, orthonormal; other channels as they are."""
    turned = torch.tensor(_GREY) if c == 3 else torch.eye(c)
    found: Tensor = turned / turned.norm(dim=1, keepdim=True)
    return found


def _frequencies(shape: ImageShape) -> Int[Tensor, " hw"]:
    """Frequencies from the lowest to the highest."""
    rows, columns = torch.arange(shape.h) / shape.h, torch.arange(shape.w) / shape.w
    return torch.argsort((rows[:, None] ** 2 + columns[None, :] ** 2).flatten(), stable=True)
