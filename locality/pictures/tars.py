"""Tars, packed or not, one or the shards of a WebDataset: members are read in place.

A packed tar cannot be read from its middle: it is unpacked into one tar in a scratch folder while it is read.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import IO, cast

from locality.errors import BadInput
from locality.pictures.archive import Archive, PartOf, Stream, first_three, inside, reason
from locality.pictures.scratch import Scratch

Opener = Callable[[Path], AbstractContextManager[Stream]]
_PACKED: dict[bytes, Opener] = {b"\x1f\x8b": gzip.GzipFile, b"BZh": bz2.BZ2File, b"\xfd7zXZ": lzma.LZMAFile}
_FREE, _FOLD = 500_000_000, 100  # images hardly pack: more than this, and so many times the file, is no set of images
_DAMAGE = (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError, ValueError)


class TarArchive(Archive):
    """Members of one tar, or of several by `SHARD/name`. Raises BadInput (damaged, names that leave it)."""

    def __init__(self, title: str, files: Mapping[str, Stream]) -> None:
        self.title = title
        self._places: dict[str, tuple[Stream, int, int]] = {}
        self._lock = threading.Lock()
        links: list[str] = []
        for shard, file in files.items():
            prefix = f"{shard}/" if len(files) > 1 else ""
            for member in _members(file, shard):
                name = prefix + member.name.removeprefix("./")  # as `tar cf set.tar .` has them
                if member.isreg() and not member.issparse():
                    self._places[name] = (file, member.offset_data, member.size)
                elif not member.isdir():
                    links.append(name)
        self.names = inside(list(self._places), title)
        self.odd = [f"{len(links)} links and the like ({first_three(links)})"] if links else []

    def size(self, name: str) -> int:
        return self._places[name][2]

    def stream(self, name: str) -> AbstractContextManager[Stream]:
        file, start, size = self._places[name]
        return PartOf(file, self._lock, start, size)


@contextmanager
def open_tars(title: str, paths: Mapping[str, Path], scratch: Scratch) -> Iterator[TarArchive]:
    """One tar or several shards by name.

    Raises:
        BadInput: no tar, damaged, cut short.
        TooLarge: it unpacks to far more than images would.
    """
    with ExitStack() as stack:
        yield TarArchive(title, {name: stack.enter_context(_plain(path, scratch)) for name, path in paths.items()})


def is_tar(path: Path, head: bytes) -> bool:
    """Whether a file that starts with these bytes is a tar, packed or not."""
    if head[257:262] == b"ustar":
        return True
    packed = _opener(head)
    if packed is None:
        return False
    try:
        with packed(path) as file:
            return bool(file.read(512)[257:262] == b"ustar")
    except _DAMAGE:
        return False


def is_packed(head: bytes) -> bool:
    """Whether a file that starts with these bytes is packed by gzip, bzip2 or xz."""
    return _opener(head) is not None


def _opener(head: bytes) -> Opener | None:
    return next((opener for magic, opener in _PACKED.items() if head.startswith(magic)), None)


@contextmanager
def _plain(path: Path, scratch: Scratch) -> Iterator[Stream]:
    with path.open("rb") as file:
        head = file.read(8)
    packed = _opener(head)
    if packed is None:
        with path.open("rb") as file:
            yield file
        return
    with _unpacked(path, packed, scratch).open("rb") as file:
        yield file


def _unpacked(path: Path, packed: Opener, scratch: Scratch) -> Path:
    most = max(_FREE, _FOLD * path.stat().st_size)
    target = scratch.path(path, "tar")
    if target.exists():
        return target
    try:
        with packed(path) as source:
            scratch.unpack(source.read, target, most, f"{path.name} unpacked")
    except _DAMAGE as error:
        raise BadInput(f"{path.name} is cut short or damaged ({reason(error)}). Copy or download it again.") from None
    return target


def _members(file: Stream, title: str) -> Iterator[tarfile.TarInfo]:
    size = file.seek(0, 2)
    file.seek(0)
    try:
        with tarfile.open(fileobj=cast("IO[bytes]", file), mode="r:") as tar:
            for member in tar:
                if member.isreg() and member.offset_data + member.size > size:
                    raise tarfile.ReadError(f"{member.name} reaches beyond the end")
                yield member
    except (tarfile.TarError, ValueError, OSError, EOFError, OverflowError) as error:
        raise BadInput(f"{title} is cut short or damaged ({reason(error)}). Copy or download it again.") from None


def sample_key(name: str) -> str:
    """What the files of one sample of a WebDataset share: the name up to the first dot of its last part."""
    folder, slash, last = name.rpartition("/")
    return folder + slash + last.partition(".")[0]


def sample_classes(archive: Archive, names: Sequence[str]) -> list[int] | None:
    """The number in the `.cls` file of each sample; None where there is none.

    Raises:
        BadInput: a sample without one, or one that is no number.
    """
    classes = {sample_key(name): name for name in archive.names if name.endswith(".cls")}
    if not classes:
        return None
    found = []
    for name in names:
        text = archive.read(classes[sample_key(name)])[:20].strip() if sample_key(name) in classes else b""
        if not text.isdigit():
            raise BadInput(f"{name} in {archive.title} has no class number beside it: {sample_key(name)}.cls with one.")
        found.append(int(text))
    return found
