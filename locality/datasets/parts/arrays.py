"""Image arrays from an npz of the user's, without pickles and with a size known beforehand."""

from __future__ import annotations

import math
import zipfile
import zlib
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from locality.errors import BadInput, TooLarge

BUDGET = 4_000_000_000  # bytes of one unpacked array
_NAMES = ("images", "data", "x", "arr_0")


@runtime_checkable
class _Readable(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...


def read_npz(path: Path) -> NDArray[np.uint8]:
    """Images [n h w] (grey) or [n h w 3] of an npz.

    The array is the one called images, data, x or arr_0, or the only one; uint8 [n h w],
    [n h w c] or [n c h w] with c of 1 or 3.

    Raises:
        BadInput: damaged, no such array, another type or shape.
        TooLarge: more than 4 GB.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _channels_last(_read(archive, _choose(archive.namelist(), path.name), path.name), path.name)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        raise BadInput(f"{path.name} is not a readable npz ({error}).") from None


def _choose(members: list[str], title: str) -> str:
    arrays = {name.removesuffix(".npy"): name for name in members if name.endswith(".npy")}
    for wanted in (*_NAMES, *(arrays if len(arrays) == 1 else ())):
        if wanted in arrays:
            return arrays[wanted]
    raise BadInput(f"{title} has the arrays {', '.join(sorted(arrays)) or 'none'}; call the images one 'images'.")


def _read(archive: zipfile.ZipFile, member: str, title: str) -> NDArray[np.uint8]:
    with archive.open(member) as file:
        shape, columns_first, dtype = _header(file)
        if dtype != np.uint8:
            raise BadInput(f"{member} in {title} is {dtype}, not uint8. Save pixels 0..255 as uint8.")
        size = math.prod(shape)
        if size > BUDGET:
            raise TooLarge(f"{member} in {title}", size, BUDGET, "Save fewer or smaller images.")
        raw = file.read(size + 1)
    if len(raw) != size:
        raise BadInput(f"{member} in {title} is cut short or damaged: {len(raw)} bytes, {size} expected.")
    return np.frombuffer(raw, np.uint8).reshape(shape, order="F" if columns_first else "C")


def _header(file: _Readable) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    version = npy.read_magic(file)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"npy format {version}")
    header: tuple[tuple[int, ...], bool, np.dtype[np.generic]] = readers[version](file)
    return header


def _channels_last(array: NDArray[np.uint8], title: str) -> NDArray[np.uint8]:
    if array.ndim == 4 and array.shape[-1] not in (1, 3) and array.shape[1] in (1, 3):
        array = array.transpose(0, 2, 3, 1)
    if array.ndim == 4 and array.shape[-1] == 1:
        array = array[..., 0]
    good = array.ndim == 3 or (array.ndim == 4 and array.shape[-1] == 3)
    if not good or 0 in array.shape[1:]:
        raise BadInput(f"{title} holds an array of shape {array.shape}; give [n,h,w], [n,h,w,3] or [n,3,h,w].")
    return array
