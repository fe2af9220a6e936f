"""Reading a training set from its first image to its last, while others may write to the files it lies in.

What was read of a mapped set is checked against its fingerprint at the end: sums of a set that changed on the way are
of no set at all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from jaxtyping import Shaped
from torch import Tensor

from locality.dataset import Images
from locality.errors import BadInput
from locality.work import heartbeat


class Reading:
    """One reading of the images in chunks, and the digest of what was read where that may change."""

    def __init__(self, images: Images, size: int) -> None:
        self._images, self._train, self._size = images, images.train, size
        # Images in memory do not change, and those that an edit has made are named by other facts than their pixels.
        watched = self._train.mapped and self._train.known == images.fingerprint
        self._seen = hashlib.sha256(self._train.heading) if watched else None
        self._read = 0

    def chunks(self, first: int, stop: int) -> Iterator[Shaped[Tensor, "k d"]]:
        """Those from `first` up to `stop`, after which others may be asked for."""
        self._skip(first)
        for chunk in self._train.chunks(self._size, first, stop):
            if self._seen is None:
                yield chunk
                continue
            copy = chunk.clone()  # the very bytes that are summed
            self._seen.update(copy.numpy().data)
            self._read += len(copy)
            yield copy

    def _skip(self, first: int) -> None:
        """Images whose sums are known already are read for the digest alone."""
        if self._seen is None:
            return
        for chunk in self._train.chunks(self._size, self._read, first):
            self._seen.update(chunk.contiguous().numpy().data)
            self._read += len(chunk)
            heartbeat(0.0)  # whoever listens may cancel here

    def check(self) -> None:
        """When all is read. Raises BadInput (the images changed on the way)."""
        self._skip(len(self._train))
        if self._seen is not None and self._seen.hexdigest() != self._images.fingerprint:
            raise BadInput(
                f"The images of {self._images.typed} changed while their statistics were taken. Let nothing write to "
                "them, and run the same command again."
            )
