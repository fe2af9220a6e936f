"""Sums of an unfinished pass over a training set, kept on disk: a killed pass goes on where it was.

One file a set: a line of facts (which images, how many of them are in each part), then the upper block triangle of the
sums of each part, then a digest of all this. It is written under another name and renamed, so nothing half-written is
ever read.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from jaxtyping import Shaped
from numpy.typing import NDArray
from torch import Tensor

from locality.linear.moments import BLOCK, Moments, PixelMoments, ValueMoments
from locality.store.atomic import draft_of

_FORMAT = 2
_ROWS = 64  # of the sums, written at a time
_STALE = 30 * 86_400.0  # seconds after which a pass that nobody finished is dropped
_TORN = 3600.0  # ... and what was half-written when its process was killed
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Unfinished:
    """The place of one set's pass. `fingerprint` says which images it is over, `typed` what somebody calls them."""

    folder: Path
    typed: str
    fingerprint: str
    dtype: torch.dtype
    d: int

    @property
    def path(self) -> Path:
        name = hashlib.sha256(self.typed.encode(errors="surrogateescape")).hexdigest()[:24]
        return self.folder / f"{name}.sums"

    def read(self, device: str = "cpu") -> list[Moments]:
        """The sums so far, on a device, part by part; none where none serve, which is said in the log."""
        try:
            with self.path.open("rb") as file:
                heading = file.readline()
                facts = json.loads(heading)
                if facts["format"] != _FORMAT:
                    return []
                if facts["fingerprint"] != self.fingerprint:
                    _log.warning(
                        "An interrupted pass over %s had seen %s images, and these are others: it starts anew.",
                        self.typed,
                        f"{sum(facts['counts']):,}",
                    )
                    self.drop()
                    return []
                return self._sums(file, heading, list(map(int, facts["counts"])), device)
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.warning("The sums of an interrupted pass over %s cannot be read (%s): anew.", self.typed, error)
            return []

    def write(self, parts: Sequence[Moments]) -> None:
        """Keep the sums in place of older ones. A disk that does not take them stops nothing: it is logged."""
        draft = draft_of(self.path)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._sweep()
            with draft.open("wb") as file:
                digest = hashlib.sha256()
                for part in chain((self._facts(parts),), *map(_bytes, parts)):
                    digest.update(part)
                    file.write(part)
                file.write(digest.digest())
            os.replace(draft, self.path)
        except OSError as error:
            _log.warning("The sums so far cannot be kept in %s (%s): a pass that is killed starts anew.", *_told(error))
            with contextlib.suppress(OSError):
                draft.unlink()

    def drop(self) -> None:
        """Remove what is kept."""
        with contextlib.suppress(OSError):
            self.path.unlink()

    def _facts(self, parts: Sequence[Moments]) -> bytes:
        counts = [part.count for part in parts]
        facts = {"format": _FORMAT, "fingerprint": self.fingerprint, "typed": self.typed, "counts": counts}
        return json.dumps(facts).encode() + b"\n"

    def _sums(self, file: IO[bytes], heading: bytes, counts: Sequence[int], device: str) -> list[Moments]:
        """Raises ValueError (not the bytes that were written)."""
        digest = hashlib.sha256(heading)
        kind = torch.int64 if self.dtype == torch.uint8 else torch.float64
        made: type[PixelMoments] | type[ValueMoments] = PixelMoments if self.dtype == torch.uint8 else ValueMoments
        found: list[Moments] = []
        for count in counts:
            first, second = torch.zeros(self.d, dtype=kind), torch.zeros(self.d, self.d, dtype=kind)
            for part in (first, *_parts(second)):
                payload = file.read(part.numel() * 8)
                if len(payload) < part.numel() * 8:
                    raise ValueError("it is cut short")
                digest.update(payload)
                part.copy_(torch.from_numpy(np.frombuffer(bytearray(payload), part.numpy().dtype)).reshape(part.shape))
            found.append(made(count, first.to(device), second.to(device)))
        if file.read() != digest.digest():
            raise ValueError("its bytes changed")
        return found

    def _sweep(self) -> None:
        """Remove what processes left that were killed long ago."""
        for left in self.folder.iterdir():
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > (_TORN if left.name.startswith(".") else _STALE):
                    left.unlink()


def _told(error: OSError) -> tuple[str | None, str]:
    return error.filename, error.strerror or str(error)


def _bytes(moments: Moments) -> Iterator[bytes | memoryview]:
    assert isinstance(moments, PixelMoments | ValueMoments)
    first, second = (
        (moments.sums, moments.gram) if isinstance(moments, PixelMoments) else (moments.centre, moments.scatter)
    )
    for part in (first, *_parts(second)):
        values: NDArray[Any] = part.cpu().contiguous().numpy()
        yield values.data.cast("B")


def _parts(sums: Shaped[Tensor, "d d"]) -> Iterator[Tensor]:
    """A few rows at a time, from the first column of their block on: what lies before was never filled."""
    for row in range(0, len(sums), _ROWS):
        yield sums[row : row + _ROWS, row // BLOCK * BLOCK :]
