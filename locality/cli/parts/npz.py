"""npz files of images: read without pickles and never larger than they should be; written whole or not at all."""

from __future__ import annotations

import contextlib
import math
import os
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from locality.errors import BadInput, NonFinite, TooLarge

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from locality.types import ImageShape

LARGEST = 2 * 10**9  # bytes of the array that is read
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    OSError,
    EOFError,
    ValueError,
    SyntaxError,
    tokenize.TokenError,
    NotImplementedError,
    RuntimeError,
)


def check_out(out: Path) -> None:
    """Refuse a file that could not be written in the end, before the work; makes its folder.

    Raises:
        BadInput: not a place for a file, or no right to write there.
    """
    try:
        if out.exists() and not out.is_file():
            raise BadInput(f"--out {out} is a folder or a device. Name a file, for example {out / 'samples.npz'}.")
        out.parent.mkdir(parents=True, exist_ok=True)
        with _draft(out) as (draft, _), contextlib.suppress(FileNotFoundError):
            draft.unlink()
            out.stat()  # a name too long for the file itself
    except OSError as error:
        raise BadInput(f"--out {out} cannot be written ({error.strerror}). Choose another folder or name.") from None


def write_npz(out: Path, **arrays: Any) -> None:
    """Write arrays so that a reader sees the old file or the whole new one; the same arrays give the same bytes."""
    import numpy as np

    with _draft(out) as (draft, file):
        np.savez(file, **arrays)
        file.close()
        os.replace(draft, out.resolve())


def read_images(path: Path, key: str, shape: ImageShape) -> Float[Tensor, "n d"]:
    """Images [n c h w] of any float type from an npz, flat, float32.

    Raises:
        BadInput: not an npz, no such array, or one of another type or shape.
        NonFinite: NaN or infinity, or values float32 cannot hold.
        TooLarge: more than 2 GB.
    """
    import torch

    try:
        with zipfile.ZipFile(path) as archive:
            images = torch.from_numpy(_array(archive, path, key, shape)).float().flatten(1)
    except _UNREADABLE as error:
        raise BadInput(f"--input {path} is not a readable npz ({error}). Write it with numpy.savez.") from None
    if not bool(images.isfinite().all()):
        raise NonFinite(f"{key!r} in {path} holds NaN or infinity; a denoiser needs finite values.")
    return images


def _array(archive: zipfile.ZipFile, path: Path, key: str, shape: ImageShape) -> Any:
    import numpy as np

    members = [name.removesuffix(".npy") for name in archive.namelist()]
    if key not in members:
        raise BadInput(f"{path} has the arrays {', '.join(sorted(members)) or 'none'}; call the noisy images {key!r}.")
    with archive.open(f"{key}.npy") as file:
        got, columns_first, dtype = _header(file)
        if dtype.kind != "f" or dtype.itemsize > 8:
            raise BadInput(f"{key!r} in {path} is {dtype}; give float32 images, x = x0 + sigma * eps, x0 in [-1, 1].")
        if len(got) != 4 or got[1:] != tuple(shape) or got[0] < 1:
            want = ", ".join(map(str, shape))
            raise BadInput(f"{key!r} in {path} has shape {list(got)}; these images need [n, {want}], n at least 1.")
        size = math.prod(got) * dtype.itemsize
        if size > LARGEST:
            raise TooLarge(f"{key!r} in {path}", size, LARGEST, "Denoise fewer images at a time.")
        raw = file.read(size + 1)
    if len(raw) != size:
        raise ValueError(f"{key!r} is cut short or damaged: {len(raw)} bytes, {size} expected")
    array = np.frombuffer(bytearray(raw), dtype).reshape(got, order="F" if columns_first else "C")
    return np.ascontiguousarray(array, dtype.newbyteorder("="))


def _header(file: Any) -> tuple[tuple[int, ...], bool, Any]:
    """Shape, whether columns come first, and type: what a file claims, before memory is taken for it."""
    from numpy.lib import format as npy

    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    version = npy.read_magic(file)
    if version not in readers:
        raise ValueError(f"npy format {version}")
    header: tuple[tuple[int, ...], bool, Any] = readers[version](file)
    return header


@contextlib.contextmanager
def _draft(out: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """A new file beside `out`, gone when the block ends unless it was moved to its place."""
    from locality.store.atomic import draft_of

    target = out.resolve()
    draft = draft_of(target)
    with draft.open("wb") as file:
        try:
            yield draft, file
        finally:
            draft.unlink(missing_ok=True)
