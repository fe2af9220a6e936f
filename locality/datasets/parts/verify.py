"""Digests of files and of what is packed in them; taking named files out of a tar."""

from __future__ import annotations

import gzip
import hashlib
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath

from locality.errors import DigestMismatch

_BLOCK = 1 << 20
_MOST = 1 << 28  # content of a .gz is a few tens of megabytes; a bomb stops here


def md5_of(path: Path) -> str:
    """MD5 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, _md5).hexdigest()


def gunzip_md5(path: Path) -> str:
    """MD5 of the content of a .gz; empty where it cannot be unpacked."""
    digest, size = _md5(), 0
    try:
        with gzip.open(path) as content:
            while block := content.read(_BLOCK):
                size += len(block)
                if size > _MOST:
                    return ""
                digest.update(block)
    except (OSError, EOFError, zlib.error):
        return ""
    return digest.hexdigest()


def extract(archive: Path, members: Mapping[str, str], folder: Path) -> None:
    """Write the named members (name -> MD5) of a .tar.gz straight into `folder`; nothing else.

    Only base names are compared and only the names asked for are written, so no member can choose
    its own place.

    Raises:
        DigestMismatch: a member is absent, is no plain file, or has other bytes.
    """
    absent = dict(members)
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                name = PurePosixPath(member.name).name
                content = tar.extractfile(member) if name in absent and member.isfile() else None
                if content is not None:
                    with content:
                        _write(iter(partial(content.read, _BLOCK), b""), folder / name, absent.pop(name))
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DigestMismatch(f"{archive.name} cannot be unpacked ({error}). Download it again.") from None
    finally:
        for name in members:
            _part(folder / name).unlink(missing_ok=True)
    if absent:
        raise DigestMismatch(f"{archive.name} lacks {', '.join(absent)}. Download it again.")


def _write(blocks: Iterator[bytes], path: Path, md5: str) -> None:
    part, digest = _part(path), _md5()
    with part.open("wb") as out:
        for block in blocks:
            digest.update(block)
            out.write(block)
    if digest.hexdigest() != md5:
        raise DigestMismatch(f"{path.name} has MD5 {digest.hexdigest()}, {md5} is published. Download it again.")
    part.replace(path)


def _part(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def _md5() -> "hashlib._Hash":
    return hashlib.md5(usedforsecurity=False)
