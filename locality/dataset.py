"""A set of images in memory: 8-bit pixels or float values, flat, with a fingerprint."""

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
    Memory: n * d bytes for 8-bit sets, 4 n d for float sets; chunks are converted one at a time.
    """

    name: str
    split: str
    shape: ImageShape
    data: Shaped[Tensor, "n d"]
    labels: Int[Tensor, " n"] | None = None

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

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of shape, type and every pixel, in order."""
        digest = hashlib.sha256(f"{self.shape}:{self.data.dtype}:{len(self)}:".encode())
        digest.update(self.data.contiguous().numpy().data.cast("B"))
        return digest.hexdigest()

    def x0(self, rows: Int[Tensor, " k"] | slice) -> Float[Tensor, "k d"]:
        """Clean images as float32; 8-bit pixels are mapped to [-1, 1] by u / 127.5 - 1."""
        picked = self.data[rows]
        return picked.float().div_(127.5).sub_(1.0) if self.is_8bit else picked.clone()

    def chunks(self, size: int) -> Iterator[Shaped[Tensor, "k d"]]:
        """Stored pixels in order, `size` images at a time (views, not copies)."""
        for start in range(0, len(self), size):
            yield self.data[start : start + size]

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
