"""What runs on a worker: it holds rows of training sets and models without images, and sums and averages over them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from locality import errors
from locality.dataset import Dataset
from locality.datasets import Source
from locality.denoisers.parts.shards import shared_out
from locality.device import placed
from locality.errors import DigestMismatch, LocalityError
from locality.linear.moments import Moments, PixelMoments, ValueMoments, estimate_moments
from locality.posterior import PosteriorMean
from locality.work import listening

Rows = tuple[int, int]  # of a training set, from and up to
Array = NDArray[Any]

_images: dict[str, dict[Rows, torch.Tensor]] = {}  # by set
_models: dict[str, tuple[Any, tuple[str, ...]]] = {}  # and the devices of each
_stopped: set[str] = set()


@dataclass(frozen=True)
class Failure:
    """An error meant for the user, as it travels: some have more than a text to be made from, which pickles lose."""

    kind: str
    text: str

    def error(self) -> LocalityError:
        """As it was raised."""
        cls = getattr(errors, self.kind, LocalityError)
        made: LocalityError = cls.__new__(cls)
        made.args = (self.text,)
        return made


class Stopped(Exception):
    """Raised inside a step that nobody waits for any more."""


def guarded(function: Callable[..., Any], *args: Any) -> Any:
    """Run a function; an error meant for the user comes back as a value."""
    try:
        return function(*args)
    except Stopped:
        return True
    except LocalityError as error:
        return Failure(type(error).__name__, str(error))


def digest_of(data: torch.Tensor) -> str:
    """Of some rows as they are stored."""
    return hashlib.sha256(data.contiguous().numpy().data.cast("B")).hexdigest()


def read_rows(key: str, text: str, first: int | None, rows: Rows, digest: str) -> bool:
    """Hold rows of a set that this machine can read too; False where it cannot.

    Raises:
        DigestMismatch: its files hold other images.
    """
    source = Source.parse(text, first)
    if source.missing():
        return False
    train: Dataset = source.train
    part = train.data[slice(*rows)].clone()
    if len(part) != rows[1] - rows[0] or digest_of(part) != digest:
        raise DigestMismatch(
            f"Images {rows[0]} to {rows[1] - 1} of {text} are others here than where the command runs. Copy the same "
            "files to all machines, or take these away: then they are sent."
        )
    return keep_rows(key, rows, part)


def take_rows(key: str, rows: Rows, sent: Array) -> bool:
    """Hold rows that were sent."""
    return keep_rows(key, rows, _tensor(sent))


def keep_rows(key: str, rows: Rows, part: torch.Tensor) -> bool:
    _images.setdefault(key, {})[rows] = part
    return True


def keep_model(key: str, model: Any, devices: tuple[str, ...]) -> bool:
    """Hold a model that lacks nothing but the images of its bank, which are shared out among these devices."""
    _models[key] = placed(model, torch.device(devices[0])), devices
    return True


def forget(keys: list[str]) -> None:
    """Let go of sets and models, and of the news that steps were stopped."""
    for key in keys:
        _images.pop(key, None)
        _models.pop(key, None)
        _stopped.discard(key)


def stop(job: str) -> None:
    """End the parts of a step that run here."""
    _stopped.add(job)


def sum_rows(key: str, rows: Rows, size: int, devices: tuple[str, ...]) -> tuple[Any, ...]:
    """Moments of some of the rows held here, `size` images at a time."""
    return pack_moments(estimate_moments(_rows(key, rows).split(size), devices=devices))


def add_moments(one: tuple[Any, ...], other: tuple[Any, ...]) -> tuple[Any, ...]:
    """Moments of both."""
    return pack_moments(unpack_moments(one) + unpack_moments(other))


def pack_moments(moments: Moments) -> tuple[Any, ...]:
    """As arrays, which Dask sends without a copy."""
    assert isinstance(moments, PixelMoments | ValueMoments)
    count, first, second = vars(moments).values()
    return count, first.cpu().numpy(), second.cpu().numpy()


def unpack_moments(packed: tuple[Any, ...]) -> Moments:
    """As they were."""
    count, first, second = packed[0], *map(_tensor, packed[1:])
    return (PixelMoments if first.dtype == torch.int64 else ValueMoments)(count, first, second)


def average(job: str, model: str, key: str, rows: Rows, x: Array, sigma: float) -> tuple[Array, ...]:
    """A model's average over some rows held here, float64: peak, weight, total."""
    without, devices = _models[model]
    bank = replace(without.bank, data=_rows(key, rows), rows=torch.arange(*rows))
    denoiser = replace(without, bank=shared_out(bank, devices))

    def beat(_: float) -> None:
        if job in _stopped:
            raise Stopped

    with listening(beat), torch.no_grad():
        found: PosteriorMean = denoiser.posterior(_tensor(x).to(denoiser.bank.device), sigma)
    return tuple(part.cpu().double().numpy() for part in found)


def merge_averages(one: tuple[Array, ...], other: tuple[Array, ...]) -> tuple[Array, ...]:
    """The average over the images of both."""
    parts = (PosteriorMean(*map(_tensor, part)) for part in (one, other))
    return tuple(part.numpy() for part in next(parts).merge(next(parts)))


def _tensor(array: Array) -> torch.Tensor:
    """Of the same memory, but where that is a message's, which must not be written to."""
    return torch.from_numpy(array if array.flags.writeable else np.array(array))


def _rows(key: str, rows: Rows) -> torch.Tensor:
    """Rows within one piece held here."""
    for (start, stop), data in _images.get(key, {}).items():
        if start <= rows[0] and rows[1] <= stop:
            return data[rows[0] - start : rows[1] - start]
    raise LocalityError("A worker has lost its images: it was started again at its old address. Run it once more.")
