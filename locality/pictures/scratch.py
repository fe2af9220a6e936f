"""Room on disk for what has to be unpacked while it is read; gone with the last reader."""

from __future__ import annotations

import hashlib
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from locality.errors import BadInput, TooLarge
from locality.places import local_cache

SPARE = 500_000_000  # bytes of a disk that stay free
_BLOCK = 1 << 20
_EVERY = 64_000_000  # bytes written between two looks at the disk
KNOB = "Give a smaller resolution or a limit, or set LOCALITY_CACHE to a folder on a larger disk."


def pictures_folder() -> Path:
    """Where decoded sets are kept, made if needed. Raises BadInput (not writable)."""
    folder = local_cache() / "pictures"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unusable(folder, error) from None
    return folder


def unusable(folder: Path, error: OSError) -> BadInput:
    """The message for a cache folder that cannot be written."""
    return BadInput(
        f"The cache folder {folder} cannot be used ({error.strerror or error}). "
        "Set LOCALITY_CACHE to a folder you may write to, on a disk with space."
    )


def check_disk(folder: Path, what: str, need: int) -> None:
    """Refuse what the disk does not hold. Raises TooLarge."""
    free = max(shutil.disk_usage(folder).free - SPARE, 0)
    if need > free:
        raise TooLarge(what, need, free, KNOB)


def reserve(path: Path, size: int) -> None:
    """A file of this size with its room on the disk taken: writing to a mapped file on a full disk ends the process."""
    with path.open("wb") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            for start in range(0, size, 1 << 24):
                file.write(bytes(min(1 << 24, size - start)))


@dataclass
class Scratch:
    """A folder for files unpacked from the user's; in workers it is that of the process that started them."""

    folder: Path
    _since: int = _EVERY

    def path(self, source: Path, suffix: str, member: str = "") -> Path:
        """Where the unpacked form of a file, or of a member of it, lies."""
        name = hashlib.sha256(f"{source}\0{member}".encode(errors="surrogateescape")).hexdigest()[:20]
        return self.folder / f"{name}.{suffix}"

    def unpack(self, read: Callable[[int], bytes], target: Path, most: float = math.inf, what: str = "") -> None:
        """What `read` gives, as the file `target`: there as soon as it is whole.

        Raises TooLarge (`what` unpacks to more than `most` bytes, or the disk is nearly full).
        """
        part, done = target.with_suffix(".part"), 0
        with part.open("wb") as out:
            while block := read(_BLOCK):
                done += len(block)
                if done > most:
                    raise TooLarge(what, done, int(most), "It is no set of images: they hardly pack.")
                self.room(len(block))
                out.write(block)
        part.replace(target)

    def room(self, size: int) -> None:
        """Called before so many bytes are written. Raises TooLarge (the disk is nearly full)."""
        self._since += size
        if self._since >= _EVERY:
            check_disk(self.folder, "Unpacking", self._since)
            self._since = 0


@contextmanager
def scratch_folder() -> Iterator[Scratch]:
    """A scratch folder, removed at the end."""
    folder = pictures_folder()
    try:
        made = tempfile.TemporaryDirectory(prefix=".scratch-", dir=folder, ignore_cleanup_errors=True)
    except OSError as error:
        raise unusable(folder, error) from None
    with made as path:
        yield Scratch(Path(path))
