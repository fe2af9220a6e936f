"""A diskcache.Disk that keeps bytes, text and integers and never pickles nor unpickles.

diskcache's own Disk pickles every other key and value, and unpickles whatever its folder says is a
pickle: whoever can write there runs code here (CVE-2025-69872). This one refuses both ways.
Imported by the store when it first opens its folder: diskcache is needed nowhere else.
"""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Any

from diskcache import UNKNOWN, Disk
from diskcache.core import MODE_BINARY, MODE_RAW, MODE_TEXT

from locality.errors import BadInput, DigestMismatch

_FILE = re.compile(r"[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{28}\.val")  # what Disk.filename makes


class BytesDisk(Disk):  # type: ignore[misc]  # diskcache has no types
    """Keys and values of type bytes, str or int; anything else is refused."""

    def put(self, key: Any) -> tuple[Any, bool]:
        """Key -> database key. Raises BadInput for a key that would be pickled."""
        _only_plain("key", key)
        stored: tuple[Any, bool] = super().put(key)
        return stored

    def get(self, key: Any, raw: bool | int) -> bytes | str | int:
        """Database key -> key. Raises DigestMismatch for a pickled key."""
        if not raw:
            _refuse_pickle("key")
        plain: bytes | str | int = super().get(key, raw)
        return plain

    def store(self, value: Any, read: bool, key: Any = UNKNOWN) -> tuple[int, int, str | None, Any]:
        """Value -> (size, mode, file, database value). Raises BadInput for a value that would be pickled."""
        _only_plain("value", value)
        stored: tuple[int, int, str | None, Any] = super().store(value, False, key=key)
        return stored

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> Any:
        """Database row -> value. Raises DigestMismatch for a pickle or a file outside the folder."""
        if mode not in (MODE_RAW, MODE_BINARY, MODE_TEXT):
            _refuse_pickle("value")
        if filename is not None and not _is_ours(filename):
            raise DigestMismatch(f"The cache names the file {filename!r}, which it cannot have made; it is not read.")
        return super().fetch(mode, filename, value, read)

    def remove(self, file_path: str) -> None:
        """Delete a value's file, if it is one of ours."""
        if _is_ours(file_path):
            super().remove(file_path)


def _is_ours(filename: str) -> bool:
    return _FILE.fullmatch(PurePath(filename).as_posix()) is not None


def _only_plain(what: str, value: Any) -> None:
    if type(value) not in (bytes, str, int):
        raise BadInput(f"The cache keeps bytes, text and integers; this {what} is a {type(value).__name__}.")
    if type(value) is int and not -(2**63) <= value < 2**63:
        raise BadInput(f"The cache keeps integers of 64 bits; this {what} is {value}. Give it as text.")


def _refuse_pickle(what: str) -> None:
    raise DigestMismatch(f"The cache holds a pickled {what}, which is never read. Delete the cache folder.")
