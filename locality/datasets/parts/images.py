"""One encoded image -> pixels of a given size, or one clear message."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from locality.errors import BadInput, TooLarge

Crop = Literal["centre", "none"]
Mode = Literal["rgb", "grey"]

MAX_PIXELS = 64_000_000
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
_DAMAGE = (
    OSError, SyntaxError, ValueError, EOFError, KeyError, IndexError, TypeError, AttributeError, OverflowError,
    AssertionError, struct.error, zlib.error,
)  # fmt: skip
# What Pillow's readers raise on damaged files, found by mutating images of every format.


def decode(raw: bytes, name: str, *, resolution: int, crop: Crop, mode: Mode) -> NDArray[np.uint8]:
    """Pixels [c h w], h = w = resolution, of one image file.

    Turned as its camera says, transparent parts over white, cut to the centred square (or
    squeezed, crop "none"), scaled by Lanczos; grey is 0.299 R + 0.587 G + 0.114 B. An image that
    has the right size and mode keeps its exact pixels.

    Raises:
        TooLarge: more than 64 megapixels, whatever the size of the file.
        BadInput: damaged, cut short, not an image, or with more than 16 bits per channel.
    """
    try:
        with Image.open(io.BytesIO(raw), formats=_FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise _bomb(name, image.width * image.height)
            turned = ImageOps.exif_transpose(image)
            flat = _flatten(turned, name)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _bomb(name, 2 * MAX_PIXELS) from None
    except _DAMAGE as error:
        raise BadInput(f"{name} is not a readable image ({_short(error)}). Take it out, or save it again.") from None
    return fit(flat, resolution=resolution, crop=crop, mode=mode)


def fit(image: Image.Image, *, resolution: int, crop: Crop, mode: Mode) -> NDArray[np.uint8]:
    """Crop, convert and scale an 8-bit image; [c resolution resolution]."""
    if crop == "centre":
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = image.crop((left, top, left + side, top + side))
    image = image.convert("RGB" if mode == "rgb" else "L")
    if image.size != (resolution, resolution):
        image = image.resize((resolution, resolution), Image.Resampling.LANCZOS)
    pixels = np.asarray(image)
    return pixels.transpose(2, 0, 1) if mode == "rgb" else pixels[None]


def _flatten(image: Image.Image, name: str) -> Image.Image:
    """Any mode -> 8-bit RGB or L without transparency."""
    if image.mode.startswith("I;16"):
        return Image.fromarray(((np.asarray(image).astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise BadInput(f"{name} has 32-bit pixels of unknown range. Save it with 8 or 16 bits per channel.")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _bomb(name: str, pixels: int) -> TooLarge:
    return TooLarge(f"{name} with its pixels unpacked", 4 * pixels, 4 * MAX_PIXELS, "Take it out, or save it smaller.")


def _short(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    # Pillow names the buffer by its address here, which helps nobody.
    return "unknown or damaged format" if "cannot identify image file" in text else text[:100]
