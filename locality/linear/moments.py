"""Mean and covariance in one pass: mergeable, exact for 8-bit images, float64 about the mean otherwise.

8-bit pixels minus 128 are integers, so sums of products are integers too: no rounding anywhere,
whatever the chunks, their order or the device. The covariance is scaled and centred once, at the end.

Float images have no such scale: sums about 0 lose the square of mean over deviation, ten of sixteen digits where that
is 1e5. Every chunk is therefore summed about its own mean, and two parts a, b of n images merge as

    mean = mean_a + d n_b / n,   scatter = scatter_a + scatter_b + d d^T n_a n_b / n,   d = mean_b - mean_a

where nothing cancels, whatever the means. Source: Chan, Golub, LeVeque 1979 (Stanford STAN-CS-79-773).

Memory: 8 d^2 bytes for the sums, d (size of a chunk) bytes while adding 8-bit images, 16 times that for float
images; independent of n.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from itertools import islice
from operator import add

import torch
from jaxtyping import Float, Float64, Int8, Int64, Shaped, UInt8
from torch import Tensor

from locality.device import together
from locality.errors import BadInput, NonFinite
from locality.linear.integers import EXACT_INT32, integer_product, shifted

_SUMMED = 256  # images whose sum is taken at once: their pixels become eight bytes on the way
BLOCK = 768  # rows and columns per block of the upper triangle


@dataclass(frozen=True, eq=False)
class Moments(ABC):
    """What is known of `count` images; `a + b` merges two parts of a set, in any order."""

    count: int

    def __add__(self, other: Moments) -> Moments:
        if type(self) is not type(other) or self.mean().shape != other.mean().shape:
            raise BadInput("Only moments of the same kind of images merge: same size, both 8-bit or both float.")
        return self._merged(other)

    def cov(self) -> Float64[Tensor, "d d"]:
        """Covariance with 1 / (n - 1), in units of x0 squared. Raises BadInput (fewer than two images)."""
        if self.count < 2:
            raise BadInput(f"A covariance needs at least two images, got {self.count}.")
        return self._cov()

    @abstractmethod
    def mean(self) -> Float64[Tensor, " d"]:
        """Mean image, in units of x0 (8-bit images: [-1, 1])."""

    @abstractmethod
    def _cov(self) -> Float64[Tensor, "d d"]: ...

    @abstractmethod
    def _merged(self, other: Moments) -> Moments: ...

    @abstractmethod
    def _on(self, device: str) -> Moments:
        """The same on a device."""

    @abstractmethod
    def _plus(self, part: Shaped[Tensor, "k d"]) -> Moments:
        """With more images; the tensors are changed in place."""


@dataclass(frozen=True, eq=False)
class PixelMoments(Moments):
    """Of 8-bit images: `sums` [d] and `gram` [d, d] (upper block triangle filled) over pixels minus 128, int64."""

    sums: Int64[Tensor, " d"]
    gram: Int64[Tensor, "d d"]

    def mean(self) -> Float64[Tensor, " d"]:
        return (self.sums.double() / self.count + 128.0) / 127.5 - 1.0

    def _cov(self) -> Float64[Tensor, "d d"]:
        """The centred sum n * gram - sums sums^T is formed in integers."""
        centred = torch.outer(self.sums, self.sums).neg_().add_(_symmetric(self.gram), alpha=self.count)
        return centred.double().div_(self.count * (self.count - 1) * 127.5**2)

    def _merged(self, other: Moments) -> PixelMoments:
        assert isinstance(other, PixelMoments)
        return PixelMoments(self.count + other.count, self.sums + other.sums, self.gram + other.gram)

    def _on(self, device: str) -> PixelMoments:
        return PixelMoments(self.count, self.sums.to(device), self.gram.to(device))

    def _plus(self, part: UInt8[Tensor, "k d"]) -> PixelMoments:
        values = _pad(shifted(part))
        d = len(self.sums)
        for some in values[:, :d].split(_SUMMED):
            self.sums.add_(some.sum(dim=0, dtype=torch.int64))
        rows = values.T.contiguous()
        for i in range(0, d, BLOCK):
            product = integer_product(rows[i : i + BLOCK], values[:, i:])
            self.gram[i : i + BLOCK, i:] += product[: d - i, : d - i]
        return PixelMoments(self.count + len(part), self.sums, self.gram)


@dataclass(frozen=True, eq=False)
class ValueMoments(Moments):
    """Of float images: their mean `centre` [d] and `scatter` [d, d], the sum of (x - centre)(x - centre)^T, float64.

    Of `scatter` the upper triangle counts.
    """

    centre: Float64[Tensor, " d"]
    scatter: Float64[Tensor, "d d"]

    def mean(self) -> Float64[Tensor, " d"]:
        return self.centre

    def _cov(self) -> Float64[Tensor, "d d"]:
        return _symmetric(self.scatter).div_(self.count - 1)

    def _merged(self, other: Moments) -> ValueMoments:
        assert isinstance(other, ValueMoments)
        merged = ValueMoments(self.count, self.centre.clone(), self.scatter + other.scatter)
        return merged._moved(other.count, other.centre)

    def _on(self, device: str) -> ValueMoments:
        return ValueMoments(self.count, self.centre.to(device), self.scatter.to(device))

    def _plus(self, part: Float[Tensor, "k d"]) -> ValueMoments:
        if not bool(part.isfinite().all()):
            raise NonFinite("The images hold NaN or infinity; statistics need finite values. Clean or leave them out.")
        if not len(part):
            return self
        first = part[0].double()
        away = part.double() - first  # exactly 0 where a pixel never varies
        mean = away.mean(dim=0)
        away -= mean
        for i in range(0, len(mean), BLOCK):
            self.scatter[i : i + BLOCK, i:].addmm_(away[:, i : i + BLOCK].T, away[:, i:])
        return self._moved(len(part), first + mean)

    def _moved(self, count: int, centre: Float64[Tensor, " d"]) -> ValueMoments:
        """With so many more images about another centre, whose scatter is in already."""
        both, apart = self.count + count, centre - self.centre
        weight = self.count * count / both
        for i in range(0, len(apart), BLOCK):
            self.scatter[i : i + BLOCK, i:].addr_(apart[i : i + BLOCK], apart[i:], alpha=weight)
        self.centre.add_(apart, alpha=count / both)
        return ValueMoments(both, self.centre, self.scatter)


def estimate_moments(chunks: Iterable[Shaped[Tensor, "_ d"]], *, devices: Sequence[str] = ("cpu",)) -> Moments:
    """Moments of uint8 pixels or float values, streamed. Raises as `accumulate_moments`."""
    for running in accumulate_moments(chunks, devices=devices):
        last = running
    return last


def accumulate_moments(
    chunks: Iterable[Shaped[Tensor, "_ d"]], *, devices: Sequence[str] = ("cpu",), begun: Moments | None = None
) -> Iterator[Moments]:
    """As `estimate_moments`, yielding the running moments after every chunk, or every round of one chunk a device.

    They go on from those `begun` if there are some. The sums are updated in place: keep only the last one, which is on
    the first device.

    Raises:
        BadInput: no images.
        NonFinite: a float image holds NaN or infinity.
    """
    running: list[Moments] = []
    following = iter(chunks)
    while mine := list(islice(following, len(devices))):
        if not running:
            running = [_nothing(mine[0].shape[1], mine[0].dtype, device) for device in devices]
            running[0] = running[0] if begun is None else begun
        works = [partial(_added, *one) for one in zip(running, mine, devices, strict=False)]
        running[: len(mine)] = together(works)
        seen = [moments for moments in running if moments.count] or running[:1]
        yield reduce(add, (moments._on(devices[0]) for moments in seen))
    if not running and begun is None:
        raise BadInput("No images: statistics need at least two.")


def _added(running: Moments, chunk: Shaped[Tensor, "_ d"], device: str) -> Moments:
    for part in chunk.split(EXACT_INT32 // 2):
        running = running._plus(part.to(device))
    return running


def _nothing(d: int, dtype: torch.dtype, device: str) -> Moments:
    kind, made = (torch.int64, PixelMoments) if dtype == torch.uint8 else (torch.float64, ValueMoments)
    return made(0, torch.zeros(d, dtype=kind, device=device), torch.zeros(d, d, dtype=kind, device=device))


def _symmetric(sums: Shaped[Tensor, "d d"]) -> Shaped[Tensor, "d d"]:
    """From its upper triangle."""
    upper = torch.triu(sums)
    return upper + torch.triu(upper, 1).T


def _pad(values: Int8[Tensor, "k d"]) -> Int8[Tensor, "K D"]:
    """Zero rows and columns up to multiples of 32, which integer tensor cores ask for; sums do not change."""
    k, d = values.shape
    return torch.nn.functional.pad(values, (0, -d % 32, 0, -k % 32))
