"""One encoded image -> pixels of a given size, or one clear message."""

from __future__ import annotations

import io
import struct
import sys
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps

from locality.errors import BadInput, TooLarge
from locality.pictures.archive import Stream
from locality.pictures.recipe import Crop, Mode, Picture, Recipe

MAX_PIXELS = 64_000_000
SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm",
    ".jfif", ".jpe", ".apng",
)  # fmt: skip
_FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "BMP", "GIF", "TIFF", "PPM")
_PAGES = ("PNG", "WEBP", "AVIF", "GIF", "TIFF")  # a JPEG's further pictures are previews
_DAMAGE = (
    OSError, SyntaxError, ValueError, EOFError, KeyError, IndexError, TypeError, AttributeError, OverflowError,
    AssertionError, struct.error, zlib.error,
)  # fmt: skip
# What Pillow's readers raise on damaged files, found by mutating images of every format.
HEIC = "HEIC is not read: convert it, `magick mogrify -format png *.heic`, or on a Mac `sips -s format png -o . *.heic`"
_SWAPPED = {"16B": "16L", "16L": "16B", "16N": "16B" if sys.byteorder == "little" else "16L"}  # the other byte


def decode(raw: bytes, name: str, *, resolution: int, crop: Crop, mode: Mode) -> NDArray[np.uint8]:
    """Pixels [c h w], h = w = resolution, of one image file: `Recipe` says how. Raises as `read_picture`."""
    pixels: NDArray[np.uint8] = Recipe(resolution, crop, mode)(read_picture(raw, name), name)
    return pixels


def read_picture(raw: bytes, name: str) -> Picture:
    """One image file, turned as its camera says; all bits of 16-bit files are kept.

    Raises:
        TooLarge: more than 64 megapixels, whatever the size of the file.
        BadInput: damaged, cut short, not an image.
    """
    with _explained(name, raw[:16]), _opened(io.BytesIO(raw), name) as image:
        frames = getattr(image, "n_frames", 1) if image.format in _PAGES else 1
        wide = _wide(image, raw)
        if wide is not None:
            return Picture(wide, 0.0, 65535.0, frames)
        turned = ImageOps.exif_transpose(image)
        if turned.mode in ("I", "F"):
            return Picture(np.asarray(turned)[..., None], None, None, frames)
        if turned is image:
            turned = image.copy()  # reads the pixels
        return Picture(turned, 0.0, 255.0, frames)


def check_header(file: Stream, name: str) -> None:
    """Refuse a file whose first bytes say that it is no image, or too large a one. Raises as `read_picture`."""
    head = file.read(16)
    file.seek(0)
    with _explained(name, head), _opened(file, name):
        pass


@contextmanager
def _opened(file: Stream, name: str) -> Iterator[Image.Image]:
    with Image.open(cast("IO[bytes]", file), formats=_FORMATS) as image:
        if image.width * image.height > MAX_PIXELS:
            raise _bomb(name, image.width * image.height)
        yield image


@contextmanager
def _explained(name: str, head: bytes) -> Iterator[None]:
    try:
        with warnings.catch_warnings(action="ignore"):  # of damaged EXIF tags, say: the pixels are what counts
            yield
    except Image.DecompressionBombError:
        raise _bomb(name, 2 * MAX_PIXELS) from None
    except _DAMAGE as error:
        if head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"):
            raise BadInput(f"{name} holds a HEIC image. {HEIC}.") from None
        why = "it is empty" if not head else _short(error)
        raise BadInput(f"{name} is not a readable image ({why}). Take it out, or save it again.") from None


def _wide(image: Image.Image, raw: bytes) -> NDArray[np.uint16] | None:
    """[h w c] of a file of 16 bits per sample, None of another."""
    if image.mode.startswith("I;16"):
        return np.asarray(ImageOps.exif_transpose(image)).astype(np.uint16)[..., None]
    if image.format == "PPM" and image.mode == "I":  # its reader scales any range to 16 bits
        scaled: NDArray[np.uint16] = np.clip(np.asarray(image), 0, 65535).astype(np.uint16)[..., None]
        return scaled
    if not isinstance(image, ImageFile.ImageFile):
        return None
    tile = image.tile[0] if image.tile else None
    args = tile.args if tile is not None else None
    raw_mode = args if isinstance(args, str) else args[0] if isinstance(args, tuple) and args else ""
    name, _, kind = str(raw_mode).partition(";")
    if kind not in _SWAPPED or name not in ("RGB", "RGBA", "LA"):
        return None
    # Pillow keeps the upper byte of each sample. Read with the bytes the other way round it gives the lower.
    with Image.open(io.BytesIO(raw), formats=_FORMATS) as again:
        swapped = f"{name};{_SWAPPED[kind]}"
        again.tile = [
            one._replace(args=swapped if isinstance(one.args, str) else (swapped, *(one.args or ())[1:]))
            for one in again.tile
        ]
        low = np.asarray(ImageOps.exif_transpose(again)).astype(np.uint16)
    high = np.asarray(ImageOps.exif_transpose(image)).astype(np.uint16)
    wide: NDArray[np.uint16] = (high * np.uint16(256) + low).astype(np.uint16)
    return wide


def _bomb(name: str, pixels: int) -> TooLarge:
    return TooLarge(f"{name} with its pixels unpacked", 4 * pixels, 4 * MAX_PIXELS, "Take it out, or save it smaller.")


def _short(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    # Pillow names the buffer by its address here, which helps nobody.
    return "unknown or damaged format" if "cannot identify image file" in text else text[:100]
