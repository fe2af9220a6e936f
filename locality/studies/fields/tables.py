"""Whole tables of fields, so that hovering and dragging need no server.

Every field here is summed over output and input channels; see `locality.fields.codec` for the code.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from locality.datasets import Source
from locality.errors import BadInput
from locality.fields.codec import LEARNED_SIGMAS, TABLE_SIGMAS, decode_rows, encode_rows
from locality.fields.radius import radius_error
from locality.fields.rows import rows as rows_of
from locality.linear.wiener import WienerFilter
from locality.networks import NetworkDenoiser
from locality.store import Store, default_store
from locality.store.artifact import Artifact
from locality.studies.fields.draws import Draws
from locality.studies.trained import Trained
from locality.types import ImageShape, Pixel
from locality.work import Progress

PREDICTED, LEARNED, VERSION = "predicted_table", "learned_table", 1


def predicted_table(wiener: WienerFilter, index: int) -> Artifact:
    """Predicted fields of every pixel at noise level TABLE_SIGMAS[index], coded.

    Arrays: codes uint8 [hw, hw], scale float32 [hw]. Takes 2 (h w)^2 d operations.
    """
    codes, scale = encode_rows(wiener.pixel_matrix(TABLE_SIGMAS[index]))
    return Artifact({"codes": codes, "scale": scale}, {"sigma": TABLE_SIGMAS[index]})


def learned_key(trained: Trained) -> dict[str, str | int]:
    """What a learned table is filed under: the weights alone."""
    return {"weights": str(trained.manifest["sha256"]), "version": VERSION}


def learned_table(trained: Trained, *, store: Store | None = None) -> Artifact | None:
    """The precomputed fields of a network, if there are any."""
    return (store or default_store()).get(LEARNED, learned_key(trained))


def make_learned_table(
    source: Source,
    network: NetworkDenoiser,
    draws: Draws,
    *,
    step: int = 2,
    sigmas: Sequence[float] = LEARNED_SIGMAS,
) -> Generator[Progress, None, Artifact]:
    """Learned fields on a grid of every `step`-th pixel, averaged over the draws, coded.

    Arrays: codes uint8 [s, p, hw], scale [s, p], `error` [s, p]: norm of the standard error of the field over
    its norm, and `radius_error` [s, p]: standard error of its half-mass radius; nan for one draw. Needs one
    backward pass per pixel, noise level and draw.
    """
    shape = network.shape
    pixels = pixel_grid(shape, step)
    noisy = draws.of(source)
    rows = torch.empty(len(sigmas), len(pixels), shape.h * shape.w)
    errors, radii = torch.full((2, len(sigmas), len(pixels)), torch.nan)
    for s, sigma in enumerate(sigmas):
        for start in range(0, len(pixels), 32):
            yield Progress(s * len(pixels) + start, len(sigmas) * len(pixels), f"Fields at sigma {sigma:.3g}")
            part = rows_of(network, pixels[start : start + 32], sigma, noisy).summed()
            mean = part.mean(dim=1)
            rows[s, start : start + 32] = mean
            if draws.count > 1:
                stderr = part.std(dim=1) / math.sqrt(draws.count)
                errors[s, start : start + 32] = stderr.norm(dim=1) / mean.norm(dim=1)
                spots = enumerate(pixels[start : start + 32])
                radii[s, start : start + 32] = torch.tensor([radius_error(part[i], spot, shape) for i, spot in spots])
    codes, scale = encode_rows(rows)
    meta = {
        "sigmas": list(sigmas),
        "pixels": [list(pixel) for pixel in pixels],
        "draws": draws.count,
        "seed": draws.seed,
        "images": "held-out",
        "dataset": source.text,
    }
    return Artifact({"codes": codes, "scale": scale, "error": errors, "radius_error": radii}, meta)


def pixel_grid(shape: ImageShape, step: int) -> list[Pixel]:
    """Every `step`-th pixel of rows and columns, from step // 2 on, row by row.

    Raises:
        BadInput: a step that leaves no pixel.
    """
    if not 1 <= step <= min(shape.h, shape.w):
        raise BadInput(f"step={step}: give 1..{min(shape.h, shape.w)}.")
    return [Pixel(row, col) for row in range(step // 2, shape.h, step) for col in range(step // 2, shape.w, step)]


def nearest_pixel(pixels: Sequence[Pixel], pixel: Pixel) -> int:
    """Index of the pixel of a grid that is nearest, the first of equals."""
    return min(range(len(pixels)), key=lambda i: (pixels[i].row - pixel.row) ** 2 + (pixels[i].col - pixel.col) ** 2)


def table_row(table: Artifact, sigma_index: int, pixel_index: int) -> Float[Tensor, " hw"]:
    """One decoded row of a learned table."""
    codes, scale = table.arrays["codes"], table.arrays["scale"]
    row: Float[Tensor, " hw"] = decode_rows(codes[sigma_index, pixel_index], scale[sigma_index, pixel_index])
    return row
