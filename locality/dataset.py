"""A set of images, in memory or mapped from a file: 8-bit pixels or float values, flat, with a fingerprint."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from locality.errors import BadInput
from locality.types import ImageShape


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images of one split.

    `data` is [n, d], channel-major: uint8 pixels 0..255, or float32 values that may leave [-1, 1].
    Memory: n * d bytes for 8-bit sets, 4 n d for float sets; chunks are converted one at a time. `mapped`: the images
    lie in a file, so that the system may drop what was read of them; what is made of such a set lies in a file too.
    """

    name: str
    split: str
    shape: ImageShape
    data: Shaped[Tensor, "n d"]
    labels: Int[Tensor, " n"] | None = None
    mapped: bool = False

    def __post_init__(self) -> None:
        if self.data.ndim != 2 or self.data.shape[1] != self.shape.d:
            got = tuple(self.data.shape)
            raise BadInput(f"{self.name}: images of shape {self.shape} need {self.shape.d} columns, got {got}.")
        if self.data.dtype not in (torch.uint8, torch.float32):
            raise BadInput(f"{self.name}: pixels must be uint8 or float32, got {self.data.dtype}.")

    def __len__(self) -> int:
        return self.data.shape[0]

    @property
    def is_8bit(self) -> bool:
        """Whether pixels are integers, so that sums can be exact."""
        return self.data.dtype == torch.uint8

    @property
    def heading(self) -> bytes:
        """What the fingerprint is over before the pixels."""
        return f"{self.shape}:{self.data.dtype}:{len(self)}:".encode()

    @property
    def known(self) -> str | None:
        """The fingerprint if it was asked for before: it reads every image."""
        found: str | None = vars(self).get("fingerprint")
        return found

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of shape, type and every pixel, in order."""
        digest = hashlib.sha256(self.heading)
        digest.update(self.data.contiguous().numpy().data.cast("B"))
        return digest.hexdigest()

    def x0(self, rows: Int[Tensor, " k"] | slice) -> Float[Tensor, "k d"]:
        """Clean images as float32; 8-bit pixels are mapped to [-1, 1] by u / 127.5 - 1."""
        picked = self.data[rows]
        return picked.float().div_(127.5).sub_(1.0) if self.is_8bit else picked.clone()

    def chunks(self, size: int, start: int = 0, stop: int | None = None) -> Iterator[Shaped[Tensor, "k d"]]:
        """Stored pixels in order, `size` images at a time (views, not copies); of the images `start` to `stop`."""
        last = len(self) if stop is None else stop
        for first in range(start, last, size):
            yield self.data[first : min(first + size, last)]

    def first(self, n: int | None) -> Dataset:
        """The first n images; None keeps all.

        Raises:
            BadInput: n is not in 1..len(self).
        """
        if n is None or n == len(self):
            return self
        if not 1 <= n <= len(self):
            raise BadInput(f"--first {n}: {self.name} has {len(self)} {self.split} images; give 1..{len(self)}.")
        labels = None if self.labels is None else self.labels[:n]
        return replace(self, data=self.data[:n], labels=labels)


class Images(ABC):
    """What a fit may ask of a dataset: its identity, and the images only when they are needed."""

    @property
    @abstractmethod
    def name(self) -> str: ...

    @property
    def typed(self) -> str:
        """What somebody types for it: the same name for other images of the same place."""
        return self.name

    @property
    @abstractmethod
    def shape(self) -> ImageShape: ...

    @property
    @abstractmethod
    def fingerprint(self) -> str: ...

    @property
    @abstractmethod
    def train(self) -> Dataset: ...


@dataclass(frozen=True, eq=False)
class InMemory(Images):
    """A training set that is in memory already, under the name of its dataset."""

    data: Dataset

    @property
    def name(self) -> str:
        return self.data.name

    @property
    def shape(self) -> ImageShape:
        return self.data.shape

    @property
    def fingerprint(self) -> str:
        return self.data.fingerprint

    @property
    def train(self) -> Dataset:
        return self.data
