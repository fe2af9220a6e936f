"""One exact pass over a training set, whatever its size: its sums in bounded memory, kept now and then on disk.

A pass that was killed goes on with the same sums, bit for bit, if the images are the same.
"""

from __future__ import annotations

import time
from collections.abc import Generator

from locality.dataset import Dataset, Images
from locality.device import Compute
from locality.linear.moments import Moments, accumulate_moments
from locality.linear.reading import Reading
from locality.linear.unfinished import Unfinished
from locality.store import Store
from locality.work import Progress

EVERY = 60.0  # seconds between two keepings of the sums
_SHARE = 20.0  # ... and so many times as long as one takes
_WORTH = 5.0  # seconds of work that are kept when the pass is closed
_LEAST = 32  # images of a chunk at the least
_PER_PIXEL = 8  # bytes that one pixel of a chunk takes on the way: shifted, padded, turned
_PER_VALUE = 20  # ... of float images: float64, less the first image


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
    reading = Reading(images, chunk_size(train, compute))
    start = saved = time.monotonic()
    cost = 0.0
    try:
        for moments in accumulate_moments(reading.chunks(first), devices=compute.devices, begun=begun):
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
    reading.check()
    return moments


def chunk_size(train: Dataset, compute: Compute) -> int:
    """Images at a time: as many as fit the memory, that for a decomposition, beside the sums, where it is given."""
    each = (_PER_PIXEL if train.is_8bit else _PER_VALUE) * train.shape.d
    given = compute.decomposition
    room = compute.memory if given is None else given - 8 * train.shape.d**2
    return max(_LEAST, min(compute.images, room // each))
