"""Patterns: named shapes at any size, words, pictures, and painted pixels.

A mask is [h w] with -1, 0 and +1: where the pattern is and with which sign. As text it is the name of a
shape (`W`), a word (`text.HELLO`), or the painted pixels themselves (`bits.28x28.DATA`, one bit a pixel, in
base64url; a second DATA holds the negative ones), so that a link or a command carries it whole.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, UnidentifiedImageError

from locality.errors import BadInput, UnknownName

Mask = NDArray[np.int8]
_BITS = re.compile(r"bits\.(\d{1,3})x(\d{1,3})\.([\w-]*)(?:\.([\w-]*))?")
_WORD = re.compile(r"text\.([A-Za-z0-9]{1,8})")
_STROKE = 0.045  # width of a line, of the shorter side
_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif")

# Corners of the lines of a letter, (x, y) from the upper left in [0, 1].
_LETTERS = {
    "W": (((0.1, 0.18), (0.3, 0.82), (0.5, 0.34), (0.7, 0.82), (0.9, 0.18)),),
    "X": (((0.14, 0.14), (0.86, 0.86)), ((0.86, 0.14), (0.14, 0.86))),
}


def mask_names() -> tuple[str, ...]:
    """The named shapes."""
    return (*_LETTERS, *_SHAPES)


def draw_mask(text: str, h: int, w: int) -> Mask:
    """The mask a text stands for, at a size.

    Raises:
        UnknownName: no such shape.
        BadInput: painted pixels of another size or damaged; a mask with no pixel or with all of them.
    """
    if text in _LETTERS:
        mask = _lines(_LETTERS[text], h, w)
    elif text in _SHAPES:
        mask = _SHAPES[text](*_places(h, w))
    elif word := _WORD.fullmatch(text):
        mask = _word(word[1], h, w)
    elif bits := _BITS.fullmatch(text):
        return _checked(_unpack(bits, h, w), text)
    else:
        known = (*mask_names(), "text.WORD (letters and digits, 8 at most)", "bits.HxW.DATA", "the path of a picture")
        raise UnknownName("mask", text[:40], known)
    return _checked(mask.astype(np.int8), text)


def mask_text(mask: Mask) -> str:
    """The text of a painted mask."""
    h, w = mask.shape
    planes = [mask > 0, mask < 0] if (mask < 0).any() else [mask > 0]
    coded = (base64.urlsafe_b64encode(np.packbits(plane).tobytes()).decode().rstrip("=") for plane in planes)
    return f"bits.{h}x{w}.{'.'.join(coded)}"


def is_picture(text: str) -> bool:
    """Whether a text names a picture file."""
    return text.lower().endswith(_PICTURES)


def read_mask(path: Path) -> Mask:
    """A picture as a mask: light pixels on dark, or where it is transparent, what is not; at the picture's own size.

    Raises:
        BadInput: not a readable picture.
    """
    try:
        with Image.open(path) as image:
            return picture_mask(image)
    except (OSError, UnidentifiedImageError, ValueError, Image.DecompressionBombError) as error:
        raise BadInput(f"{path} is not a picture that can be read ({type(error).__name__}). Give a PNG.") from None


def picture_mask(image: Image.Image, size: tuple[int, int] | None = None) -> Mask:
    """A picture as a mask, at most 512 pixels a side, or scaled to a size (h, w) by averaging.

    Raises:
        BadInput: larger than 512 pixels a side where no size is given.
    """
    if size is None and max(image.size) > 512:
        raise BadInput(f"The picture is {image.height}x{image.width}; give one of the images' size, or up to 512x512.")
    alpha = image.convert("RGBA").getchannel("A")
    shown = alpha if np.asarray(alpha).min() < 255 else image.convert("L")
    if size is not None:
        shown = shown.resize((size[1], size[0]), Image.Resampling.BOX)
    return (np.asarray(shown) >= 128).astype(np.int8)


def _checked(mask: Mask, text: str) -> Mask:
    on, size = int((mask != 0).sum()), mask.size
    if on == 0:
        raise BadInput(f"The mask {text[:24]!r} is empty at {mask.shape[0]}x{mask.shape[1]}: paint at least one pixel.")
    if on == size and len(np.unique(mask)) == 1:
        raise BadInput(
            f"The mask covers all {size} pixels: a shared brightness, not a pattern. Leave some pixels free."
        )
    return mask


def _places(h: int, w: int) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Row and column of every pixel's centre in units of the shorter side, from the middle; half a stroke."""
    side = min(h, w)
    rows = (np.arange(h)[:, None] + 0.5 - h / 2) / side
    cols = (np.arange(w)[None, :] + 0.5 - w / 2) / side
    return rows, cols, max(_STROKE / 2, 0.75 / side)


def _lines(letter: tuple[tuple[tuple[float, float], ...], ...], h: int, w: int) -> NDArray[np.bool_]:
    """Pixels within half a stroke of a line."""
    rows, cols, half = _places(h, w)
    found = np.zeros((h, w), bool)
    for corners in letter:
        for (x0, y0), (x1, y1) in pairwise(corners):
            ax, ay, dx, dy = x0 - 0.5, y0 - 0.5, x1 - x0, y1 - y0
            along = np.clip(((cols - ax) * dx + (rows - ay) * dy) / (dx * dx + dy * dy), 0, 1)
            found |= np.hypot(cols - ax - along * dx, rows - ay - along * dy) <= half
    return found


Shape = Callable[[NDArray[np.float64], NDArray[np.float64], float], NDArray[np.bool_]]
_SHAPES: dict[str, Shape] = {
    "ring": lambda rows, cols, half: np.abs(np.hypot(rows, cols) - 0.32) <= half,
    "eyes": lambda rows, cols, half: np.hypot(rows + 0.1, np.abs(cols) - 0.2) <= 0.1,
    "stripe": lambda rows, cols, half: (np.abs(rows) <= max(half, 0.04)) & (np.abs(cols) < 9.0),
}


def _word(word: str, h: int, w: int) -> NDArray[np.bool_]:
    """A word in the middle, as large as fits."""
    for size in range(2 * h, 3, -1):
        font = ImageFont.load_default(size)
        left, top, right, bottom = font.getbbox(word)
        if right - left <= 0.94 * w and bottom - top <= 0.94 * h:
            canvas = Image.new("L", (w, h))
            place = ((w - left - right) / 2, (h - top - bottom) / 2)
            ImageDraw.Draw(canvas).text(place, word, fill=255, font=font)
            return np.asarray(canvas) >= 110
    raise BadInput(f"The word {word!r} does not fit into {h}x{w} pixels. Give a shorter one.")


def _unpack(bits: re.Match[str], h: int, w: int) -> Mask:
    rows, cols = int(bits[1]), int(bits[2])
    if (rows, cols) != (h, w):
        raise BadInput(f"The mask is {rows}x{cols}; the images are {h}x{w}. Paint one of {h}x{w}, or name a shape.")
    planes = [_plane(text, h, w) for text in (bits[3], bits[4]) if text is not None]
    return planes[0] - planes[1] * (1 - planes[0]) if len(planes) == 2 else planes[0]


def _plane(text: str, h: int, w: int) -> Mask:
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != -(-h * w // 8):
        raise BadInput(f"The painted mask is damaged: {len(raw)} bytes, {-(-h * w // 8)} expected for {h}x{w}.")
    return np.unpackbits(np.frombuffer(raw, np.uint8))[: h * w].reshape(h, w).astype(np.int8)
