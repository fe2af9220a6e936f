"""Arrays of images, .npy and .npz: read without pickles, with a size known beforehand, and never as a whole."""

from __future__ import annotations

import math
import tokenize
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from locality.errors import BadInput, TooLarge
from locality.pictures.archive import DAMAGE, open_zip, reason
from locality.pictures.scratch import Scratch

BUDGET = 64_000_000_000  # bytes of one unpacked array
_KINDS = "buif"  # of numbers; U, text, for labels
_BLOCK = 1 << 22
_HEADER = (
    SyntaxError,
    tokenize.TokenError,
    TypeError,
    KeyError,
    OverflowError,
    MemoryError,
)  # of numpy, on a damaged one


@dataclass(frozen=True)
class NamedArray:
    """One array of a file: what its header says; `data` maps its numbers when they are asked for."""

    name: str
    title: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    columns_first: bool
    start: int  # of the numbers, behind the header
    path: Path
    member: str  # of an npz, "" for an npy
    scratch: Scratch

    @property
    def where(self) -> str:
        return f"{self.member} in {self.title}" if self.member else self.title

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    @cached_property
    def data(self) -> NDArray[Any]:
        """The numbers, mapped from disk.

        Raises:
            BadInput: as `check`.
            TooLarge: as `check`, or more than the disk has room to unpack.
        """
        self.check()
        if not self.bytes:
            return np.empty(self.shape, self.dtype)
        path, start = self._unpacked() if self.member else (self.path, self.start)
        order = "F" if self.columns_first else "C"
        return np.memmap(path, self.dtype, "r", start, self.shape, order)  # type: ignore[no-any-return, call-overload]

    def check(self) -> None:
        """Compare what the header says with what is there, before a byte of it is unpacked.

        Raises:
            BadInput: not numbers, cut short or damaged.
            TooLarge: more than 64 GB.
        """
        if self.dtype.kind not in _KINDS + "U":
            raise BadInput(f"{self.where} is {self.dtype}: no numbers. Save pixels 0..255 as uint8.")
        if self.bytes > BUDGET:
            raise TooLarge(self.where, self.bytes, BUDGET, "Save fewer or smaller images.")
        if self.member:
            with open_zip(self.path) as archive:
                size = archive.getinfo(self.member).file_size
        else:
            size = self.path.stat().st_size
        if size - self.start != self.bytes:
            raise _cut(self.where, size - self.start, self.bytes)

    def _unpacked(self) -> tuple[Path, int]:
        """Where the numbers of a member of an npz lie: in place where it is stored as it is, else unpacked."""
        with open_zip(self.path) as archive:
            about = archive.getinfo(self.member)
            target = self.scratch.path(self.path, "npy", self.member)
            try:
                if about.compress_type == zipfile.ZIP_STORED:
                    with archive.open(self.member) as file:
                        while file.read(_BLOCK):  # its checksum is compared at the end
                            pass
                    return self.path, _data_of(self.path, about) + self.start
                if not target.exists():
                    with archive.open(self.member) as file:
                        self.scratch.unpack(file.read, target)
            except DAMAGE as error:
                raise _unreadable(self.title, error) from None
        return target, self.start


def named_arrays(path: Path, scratch: Scratch) -> list[NamedArray]:
    """What the headers of an .npy or .npz say, by name. Raises BadInput (damaged)."""
    with path.open("rb") as file:
        if file.read(6) == b"\x93NUMPY":
            file.seek(0)
            return [_header(file, path.stem, path, "", scratch)]
    found = []
    with open_zip(path) as archive:
        for member in archive.namelist():
            if member.endswith(".npy"):
                try:
                    with archive.open(member) as packed:
                        found.append(_header(packed, member.removesuffix(".npy"), path, member, scratch))
                except DAMAGE as error:
                    raise _unreadable(path.name, error) from None
    return found


def _header(file: Any, name: str, path: Path, member: str, scratch: Scratch) -> NamedArray:
    try:
        version = npy.read_magic(file)
        readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
        if version not in readers:
            raise ValueError(f"npy format {version}")
        shape, columns_first, dtype = readers[version](file)
    except (*DAMAGE, *_HEADER) as error:
        raise _unreadable(path.name, error) from None
    return NamedArray(name, path.name, shape, dtype, columns_first, file.tell(), path, member, scratch)


def _data_of(path: Path, about: zipfile.ZipInfo) -> int:
    """Where the bytes of a stored member begin: behind its own header, whose fields may be longer than the index's."""
    with path.open("rb") as file:
        file.seek(about.header_offset + 26)
        name, extra = (int.from_bytes(file.read(2), "little") for _ in range(2))
    return about.header_offset + 30 + name + extra


def _cut(where: str, found: int, expected: int) -> BadInput:
    return BadInput(f"{where} is cut short or damaged: {max(found, 0)} bytes, {expected} expected.")


def _unreadable(title: str, error: Exception) -> BadInput:
    kind = "npy" if title.lower().endswith(".npy") else "npz"
    return BadInput(f"{title} is not a readable {kind} ({reason(error)}). Save or download it again.")
