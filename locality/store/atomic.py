"""Files that are written whole or not at all, whatever ends the process: alone, or two that belong together."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
from pathlib import Path

_SHOWN = 40  # characters of the file's own name in its draft's: at most 160 of the 255 bytes a name may have


def write_atomic(path: Path, payload: bytes) -> None:
    """Write a file so that a reader sees the old bytes or the new ones, never half; makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = draft_of(path)
    draft.write_bytes(payload)
    os.replace(draft, path)


def draft_of(path: Path) -> Path:
    """Where this thread writes a file before it takes its place: beside it, hidden, with a name that always fits."""
    return path.with_name(f".{path.name[:_SHOWN]}.{os.getpid()}.{threading.get_ident()}")


def write_pair(path: Path, payload: bytes, manifest: Path, text: bytes) -> None:
    """Write a payload and the JSON manifest beside it, which holds its SHA-256 as `sha256`.

    The manifest is announced first, under another name; a process that dies in between leaves what `settle` mends.
    """
    write_atomic(_announced(manifest), text)
    write_atomic(path, payload)
    with contextlib.suppress(FileNotFoundError):  # a reader that came in between has done it
        os.replace(_announced(manifest), manifest)


def settle(path: Path, manifest: Path) -> None:
    """Before a pair is read: where a writer died between its two files, finish what it began.

    The announced manifest takes its place if it is that of the payload that is there; else the old pair is whole.
    """
    announced = _announced(manifest)
    if not announced.exists():  # nearly always
        return
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        wanted = json.loads(announced.read_bytes())["sha256"]
        if sha256_of(path) == wanted:
            os.replace(announced, manifest)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _announced(manifest: Path) -> Path:
    return manifest.with_name(f".{manifest.name}.next")
