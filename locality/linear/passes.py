"""One exact pass over a training set, whatever its size: its sums in bounded memory, kept now and then on disk.

A pass that was killed goes on with the same sums, bit for bit, if the images are the same. A mapped set is read from
files while others may write to them: what was read is checked against the fingerprint at the end.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Generator, Iterator

from jaxtyping import Shaped
from torch import Tensor

from locality.dataset import Dataset, Images
from locality.device import Compute
from locality.errors import BadInput
from locality.linear.moments import Moments, accumulate_moments
from locality.linear.unfinished import Unfinished
from locality.store import Store
from locality.work import Progress, heartbeat

EVERY = 60.0  # seconds between two keepings of the sums
_SHARE = 20.0  # ... and so many times as long as one takes
_WORTH = 5.0  # seconds of work that are kept when the pass is closed
_LEAST = 32  # images of a chunk at the least
_PER_PIXEL = 8  # bytes that one pixel of a chunk takes on the way: shifted, padded, turned
_PER_VALUE = 32  # ... of float images: float64, less the first image, less the mean


def sum_images(
    images: Images, compute: Compute, store: Store, *, every: float = EVERY
) -> Generator[Progress, None, Moments]:
    """The moments of the training images. Progress in images, with rate and time left.

    Memory: 8 d^2 bytes and a chunk's arrays, within `compute.decomposition` where it is given.

    Raises:
        BadInput: the images changed on the way.
        DataUnavailable: they are not on this machine.
        NonFinite: a float image holds NaN or infinity.
    """
    train, n = images.train, len(images.train)
    place = Unfinished(store.local / "passes", images.typed, images.fingerprint, train.data.dtype, train.shape.d)
    begun = moments = place.read(compute.device)
    first = 0 if begun is None else begun.count
    note = "Covariance" if begun is None else f"Covariance, resumed after {first:,} images"
    read = _Read(train, chunk_size(train, compute), watched=train.mapped and train.known == images.fingerprint)
    start = saved = time.monotonic()
    cost = 0.0
    try:
        for moments in accumulate_moments(read.chunks(first), device=compute.device, begun=begun):
            now = time.monotonic()
            if moments.count < n and now - saved >= max(every, _SHARE * cost):
                place.write(moments)
                saved = time.monotonic()
                cost = saved - now
            rate = (moments.count - first) / max(now - start, 1e-9)
            yield Progress(moments.count, n, note, {"rate": rate, "seconds_left": (n - moments.count) / rate})
    except GeneratorExit:
        if moments is not None and time.monotonic() - saved > min(_WORTH, every):
            place.write(moments)
        raise
    place.drop()
    assert moments is not None
    if read.changed():
        raise BadInput(
            f"The images of {images.typed} changed while their statistics were taken. Let nothing write to them, "
            "and run the same command again."
        )
    return moments


def chunk_size(train: Dataset, compute: Compute) -> int:
    """Images at a time: as many as `compute` says, or as fit beside the sums where memory for these is given."""
    if compute.decomposition is None:
        return compute.images
    each = (_PER_PIXEL if train.is_8bit else _PER_VALUE) * train.shape.d
    return max(_LEAST, min(compute.images, (compute.decomposition - 8 * train.shape.d**2) // each))


class _Read:
    """The images in chunks, and the digest of what was read of them where it is watched."""

    def __init__(self, train: Dataset, size: int, *, watched: bool) -> None:
        self._train, self._size = train, size
        self._seen = hashlib.sha256(train.heading) if watched else None

    def chunks(self, first: int) -> Iterator[Shaped[Tensor, "k d"]]:
        """Those from `first` on. Those before, which are summed already, are read for the digest alone."""
        if self._seen is None:
            yield from self._train.chunks(self._size, first)
            return
        for chunk in self._train.chunks(self._size, 0, first):
            self._seen.update(chunk.contiguous().numpy().data)
            heartbeat(0.0)  # whoever listens may cancel here
        for chunk in self._train.chunks(self._size, first):
            copy = chunk.clone()  # the very bytes that are summed
            self._seen.update(copy.numpy().data)
            yield copy

    def changed(self) -> bool:
        """Whether all that was read is something else than what has the fingerprint."""
        return self._seen is not None and self._seen.hexdigest() != self._train.fingerprint
