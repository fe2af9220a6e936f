"""Explicit downloads: size and licence are known first, every byte is checked before it counts.

A file is written as `NAME.part`, resumed after an interruption, checked against its digest, and only
then renamed. MD5 is what the sets were published with: it guards against damage and stale
mirrors; what is read from the files later is read as plain data. A file that is run has a SHA-256.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from locality.datasets.parts.transfer import Arrived, Cut, fetch
from locality.datasets.parts.verify import extract, gunzip_md5, md5_of
from locality.errors import BadInput, DataUnavailable, DigestMismatch, TooLarge
from locality.places import user_data_dir
from locality.store.atomic import sha256_of
from locality.work import Progress

_ATTEMPTS = 50  # per mirror, as long as each one brings something new


@dataclass(frozen=True)
class RemoteFile:
    """A file of a mirror: name, bytes, MD5 as published, or SHA-256.

    `plain_md5` is that of the content of a .gz, accepted in any wrapper. `members` are the
    (name, MD5) of the files to take out of a .tar.gz. Where there is a `sha256` it alone decides.
    """

    name: str
    size: int
    md5: str = ""
    plain_md5: str = ""
    members: tuple[tuple[str, str], ...] = ()
    sha256: str = ""

    @property
    def published(self) -> str:
        """The digest that decides, and its kind."""
        return f"SHA-256 {self.sha256}" if self.sha256 else f"published MD5 {self.md5}"

    def matches(self, path: Path) -> bool:
        """Whether the bytes are the published ones."""
        if self.sha256:
            return sha256_of(path) == self.sha256
        if md5_of(path) == self.md5:
            return True
        return bool(self.plain_md5) and gunzip_md5(path) == self.plain_md5

    def kept_in(self, folder: Path) -> bool:
        """Whether the folder already holds this file, or all of its members, intact."""
        if not self.members:
            return (folder / self.name).is_file() and self.matches(folder / self.name)
        return all((folder / name).is_file() and md5_of(folder / name) == md5 for name, md5 in self.members)


@dataclass(frozen=True)
class Download:
    """What a dataset fetches: shown to the user first, then `run`."""

    title: str
    licence: str
    folder: str
    files: tuple[RemoteFile, ...]
    mirrors: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes to transfer."""
        return sum(file.size for file in self.files)

    def run(self, target: Path | None = None, *, mirrors: Sequence[str] | None = None) -> Iterator[Progress]:
        """Fetch every file into `target`/`folder`; progress in bytes.

        Closing the generator cancels: finished files and the partial one stay, and the next run
        goes on from there. Mirrors are tried in order.

        Args:
            target: A data root; the user's data directory when None.
            mirrors: Base URLs instead of the known ones.
        Raises:
            DataUnavailable: no mirror could be reached; says what to do offline.
            DigestMismatch: mirrors answered with other bytes than the published ones.
            TooLarge: not enough free space.
            BadInput: the folder cannot be written.
        """
        folder = (target or user_data_dir()) / self.folder
        clock = _Clock(self.size)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._check_space(folder)
            for file in self.files:
                if file.kept_in(folder):
                    yield clock.event(file.size, f"{file.name}: already here")
                else:
                    yield from _obtain(file, folder, mirrors or self.mirrors, clock)
                clock.before += file.size
        except OSError as error:  # the network's own errors were dealt with: this is the disk
            why = error.strerror or str(error)
            raise BadInput(f"Cannot write to {folder} ({why}). Make room there, or give another data folder.") from None
        yield Progress(self.size, self.size, f"{self.title} is in {folder}")

    def _check_space(self, folder: Path) -> None:
        # An archive lies beside what is taken out of it for a moment.
        need = sum(file.size * (3 if file.members else 1) for file in self.files)
        free = shutil.disk_usage(folder).free
        if free < need:
            raise TooLarge(f"Downloading {self.title} to {folder}", need, free, "Free some space and try again.")


class _Clock:
    """Turns bytes of one file into progress of the whole download."""

    def __init__(self, total: int) -> None:
        self.before, self._total = 0, total
        self._received, self._start = 0, time.perf_counter()

    def event(self, done: float, note: str, received: int = 0) -> Progress:
        """`done`: bytes of this file; `received`: bytes that came over the wire just now."""
        self._received += received
        rate = self._received / max(time.perf_counter() - self._start, 1e-9)
        return Progress(self.before + done, self._total, note, {"bytes_per_second": rate})


def _obtain(file: RemoteFile, folder: Path, mirrors: Sequence[str], clock: _Clock) -> Iterator[Progress]:
    """Fetch, check and put in place one file, from the first mirror that can."""
    part = folder / f"{file.name}.part"
    if part.exists() and file.matches(part):  # cancelled between the last byte and the check
        _place(file, part, folder)
        return
    failures: list[str] = []
    damaged = False
    for mirror in mirrors:
        host = urlsplit(mirror).netloc
        for _ in range(_ATTEMPTS):
            before = _size(part)
            try:
                yield from _receive(file, mirror, part, clock)
            except Cut as cut:
                failures.append(f"{host} {cut}")
                if _size(part) > before:
                    continue
                break
            yield clock.event(file.size, f"{file.name}: checking")
            if file.matches(part):
                _place(file, part, folder)
                return
            damaged = True
            failures.append(f"{host} sent other bytes than the published ones")
            part.unlink()
            if not before:
                break  # all of it came from this mirror: another attempt would bring the same
    tried = "; ".join(dict.fromkeys(failures))
    advice = (
        f"Try again later, or get {mirrors[0]}{file.name} on a connected machine, "
        f"{'unpack it' if file.members else 'put it'} into {folder}, and it will be used."
    )
    if damaged:
        raise DigestMismatch(f"{file.name} does not have its {file.published}: {tried}. {advice}")
    raise DataUnavailable(f"Could not download {file.name}: {tried}. {advice}")


def _receive(file: RemoteFile, mirror: str, part: Path, clock: _Clock) -> Iterator[Progress]:
    note = f"{file.name} from {urlsplit(mirror).netloc}"
    last: Arrived | None = None
    # A wrapper packed by another gzip differs a little in size; far more is not this file.
    for now in fetch(f"{mirror.rstrip('/')}/{file.name}", part, at_most=2 * file.size + (1 << 20)):
        received = now.done - last.done if last else 0
        share = now.done / (now.total or file.size)
        yield clock.event(min(share, 1.0) * file.size, note, received)
        last = now


def _place(file: RemoteFile, part: Path, folder: Path) -> None:
    if not file.members:
        part.replace(folder / file.name)
        return
    try:
        extract(part, dict(file.members), folder)
    except DigestMismatch:
        part.unlink()  # it would be found, and refused, again
        raise
    part.unlink()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
