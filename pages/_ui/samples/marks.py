"""Marks on enlarged pictures: a lit window, a framed pixel."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from locality.types import Pixel
from pages._ui.images import Picture

_DIM = 0.3  # brightness outside the window


def marked(picture: Picture, pixel: Pixel, window: Tensor | None = None, *, side: int) -> Picture:
    """The picture [h w 3] enlarged to about `side`, the pixel framed in yellow; dark outside `window` [h w]."""
    h, w = picture.shape[:2]
    scale = max(3, round(side / max(h, w)))
    lit = np.ones((h, w)) if window is None else (window / window.max().clamp(min=1e-12)).double().numpy()
    dimmed = picture * (_DIM + (1 - _DIM) * lit)[..., None]
    large = Image.fromarray(dimmed.round().astype(np.uint8)).resize((w * scale, h * scale), Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(large)
    for (x0, y0), (x1, y1) in _border(lit > 0):
        draw.line((x0 * scale, y0 * scale, x1 * scale, y1 * scale), fill="#56b4e9", width=2)
    box = (pixel.col * scale, pixel.row * scale, (pixel.col + 1) * scale - 1, (pixel.row + 1) * scale - 1)
    draw.rectangle([box[0] - 2, box[1] - 2, box[2] + 2, box[3] + 2], outline="#000000", width=2)
    draw.rectangle(box, outline="#ffd400", width=2)
    return np.asarray(large)


def moved(window: Tensor, pixel: Pixel, place: Pixel) -> Tensor:
    """The window [h w] of one pixel about another place, around the torus as its model does."""
    return window.roll((place.row - pixel.row, place.col - pixel.col), dims=(0, 1))


def _border(lit: np.ndarray) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Edges between lit and dark pixels, as ((x, y), (x, y)) in pixels; none around the whole picture."""
    lines = [((c + 1, r), (c + 1, r + 1)) for r, c in np.argwhere(lit[:, 1:] != lit[:, :-1])]
    lines += [((c, r + 1), (c + 1, r + 1)) for r, c in np.argwhere(lit[1:] != lit[:-1])]
    return [((int(a), int(b)), (int(c), int(d))) for (a, b), (c, d) in lines]
