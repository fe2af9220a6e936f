"""One exact pass over a training set, whatever its size: its sums in bounded memory, kept now and then on disk.

A pass that was killed goes on with the same sums, bit for bit, if the images are the same. So do those that the workers
of a cluster make: sums of float images are those of a few parts, merged in order.
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
_PART, _PARTS = 8192, 8  # float images of a part at least, and parts at most: workers send 8 d^2 bytes for each
_LEAST = 32  # images of a chunk at the least
_PER_PIXEL = 8  # bytes that one pixel of a chunk takes on the way: shifted, padded, turned
_PER_VALUE = 20  # ... of float images: float64, less the first image


def sum_images(
    images: Images, compute: Compute, store: Store, *, every: float = EVERY
) -> Generator[Progress, None, Moments]:
    """The moments of the training images. Progress in images, with rate and time left.

    Memory: 8 d^2 bytes, thrice that for float images of several parts, and a chunk's arrays, which are within
    `compute.decomposition` where it is given.

    Raises:
        BadInput: the images changed on the way.
        DataUnavailable: they are not on this machine.
        NonFinite: a float image holds NaN or infinity.
    """
    train, n = images.train, len(images.train)
    place = Unfinished(store.local / "passes", images.typed, images.fingerprint, train.data.dtype, train.shape.d)
    held = place.read(compute.device)
    first = done = sum(part.count for part in held)
    running, whole = (held[-1], held[0] if held[1:] else None) if held else (None, None)
    note = f"Covariance, resumed after {first:,} images" if held else "Covariance"
    reading = Reading(images, chunk_size(train, compute))
    start = saved = time.monotonic()
    cost = 0.0
    try:
        for a, b in parts_of(train, compute):
            if whole is not None and b <= whole.count:
                continue
            chunks = reading.chunks(max(a, first), b)
            for sums in accumulate_moments(chunks, devices=compute.devices, begun=running):
                running = sums
                held = [sums] if whole is None else [whole, sums]
                done, now = sum(part.count for part in held), time.monotonic()
                if done < n and now - saved >= max(every, _SHARE * cost):
                    place.write(held)
                    saved = time.monotonic()
                    cost = saved - now
                rate = (done - first) / max(now - start, 1e-9)
                yield Progress(done, n, note, {"rate": rate, "seconds_left": (n - done) / rate})
            assert running is not None
            whole, running = running if whole is None else whole + running, None
    except GeneratorExit:
        if held and time.monotonic() - saved > min(_WORTH, every):
            place.write(held)
        raise
    place.drop()
    assert whole is not None
    reading.check()
    return whole


def parts_of(train: Dataset, compute: Compute) -> list[tuple[int, int]]:
    """Rows, from and up to, whose sums are merged in order: they, and not who summed what, decide the last bits.

    Sums of 8-bit images are whole numbers, the same in any order: one part. Those of float images on several devices
    depend on their number, so that nothing is won by parts.
    """
    n = len(train)
    size = n if train.is_8bit or compute.others else _PART * -(-n // (_PART * _PARTS))
    return [(start, min(start + size, n)) for start in range(0, n, size)]


def chunk_size(train: Dataset, compute: Compute) -> int:
    """Images at a time: as many as fit the memory, that for a decomposition, beside the sums, where it is given."""
    each = (_PER_PIXEL if train.is_8bit else _PER_VALUE) * train.shape.d
    given = compute.decomposition
    room = compute.memory if given is None else given - 8 * train.shape.d**2
    return max(_LEAST, min(compute.images, room // each))
