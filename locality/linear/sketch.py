"""Leading components of images whose covariance is too large to hold: a randomised range finder, two passes over them.

    Y = S Omega,   Q R = Y                first pass; Omega random, [d, m], m four times the components asked for
    B = S Q,   Q^T B = V T V^T            second pass; U = Q V are the components, T their variances, S U = B V

S = X^T X / (n - 1) is applied as X^T (X Omega), a chunk of images at a time, and never formed. The first pass only has
to find good directions and may round; the second, in float64, gives S U of those that were found, and the first the
variance of every pixel: all that `bound` asks for. It is proven for these very images, not likely over
draws of Omega.
Source: Halko, Martinsson, Tropp 2011 (SIAM Review 53(2)), algorithms 4.1 and 5.3.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator

import torch
from jaxtyping import Float, Float64, Shaped
from torch import Tensor

from locality.dataset import Dataset, Images
from locality.device import Compute
from locality.errors import BadInput, NonFinite, TooLarge
from locality.linear.bound import Variances, conclude
from locality.linear.reading import Reading
from locality.linear.wiener import WienerFilter
from locality.memory import free_memory
from locality.types import ImageShape
from locality.work import Progress

_WIDTH, _SPARE = 4, 8  # directions looked for: so many times the components, and some
_MOST, _LEAST = 1024, 16  # images at a time
_MATRICES = 4  # [d, m] in float64 at the peak
_STATED = 2_000  # bytes a coordinate takes while the bound is taken
_FILLED = 0.85  # of what is free for larger chunks; the allocator and the libraries' buffers take the rest


def sketch(images: Images, rank: int, compute: Compute) -> Generator[Progress, None, WienerFilter]:
    """The filter of the `rank` largest components, nearly; its `error` is the bound.

    Memory: about 100 d rank bytes, whatever n, within `compute.decomposition` where it is given.

    Raises:
        BadInput: a rank that such images do not have; they changed on the way.
        NonFinite: a float image holds NaN or infinity.
        TooLarge: with the largest rank that fits.
    """
    train = images.train
    n, d = len(train), train.shape.d
    most = min(n, d) - 1
    if not 0 < rank <= most:
        raise BadInput(f"{rank:,} components of {n:,} images of {d:,} coordinates: give 1 to {most:,}.")
    width = _width(n, d, rank)
    size = _chunk(n, train.shape, rank, compute)
    units = _Units.of(train, size, compute.device)
    seen = _Seen(train.shape, units, width, compute.device)
    yield from _read(images, size, units, compute.device, seen.add, "Directions", 0)
    basis, mean = seen.directions(), seen.sums / n
    image = torch.zeros_like(basis)

    def applied(values: Float64[Tensor, "k d"]) -> None:
        away = values.sub_(mean)
        image.addmm_(away.T, away @ basis)

    yield from _read(images, size, units, compute.device, applied, "Components", n)
    image.mul_(units.scale**2 / (n - 1))
    inside = basis.T @ image
    ritz, turn = torch.linalg.eigh(0.5 * (inside + inside.T))
    ritz, turn = ritz.flip(0)[:rank], turn.flip(1)[:, :rank]
    basis, image = basis @ turn, image @ turn
    return conclude(train.shape, n, units.x0(mean), seen.variances(), ritz, basis, image, " of two passes")


def fitting_rank(n: int, shape: ImageShape, budget: int) -> int:
    """The largest power of two of components that fits so many bytes; 0 for none."""
    ranks = (2**k for k in range(14, 2, -1))
    return next((k for k in ranks if k < min(n, shape.d) and _needed(n, shape, k) <= budget), 0)


def _width(n: int, d: int, rank: int) -> int:
    return min(n, d, _WIDTH * rank + _SPARE)


def _needed(n: int, shape: ImageShape, rank: int) -> int:
    """Bytes at the peak, measured, with the smallest chunks."""
    width = _width(n, shape.d, rank)
    return shape.d * (8 * _MATRICES * width + _STATED) + 24 * width**2 + _LEAST * _each(shape, width)


def _each(shape: ImageShape, width: int) -> int:
    """Bytes of one image of a chunk: its values, their squares, themselves about the mean; its products."""
    return 32 * shape.d + 16 * width


def _chunk(n: int, shape: ImageShape, rank: int, compute: Compute) -> int:
    need, budget = _needed(n, shape, rank), compute.decomposition or free_memory()
    if budget is None:
        return min(_MOST, compute.images)
    if need > budget:
        fits = fitting_rank(n, shape, budget)
        knob = f"What fits: --approximate {fits}." if fits else "Give smaller images, or more memory (--memory MB)."
        raise TooLarge(f"A sketch of {rank:,} components of images of {shape}", need, budget, knob)
    more = int(_FILLED * (budget - need)) // _each(shape, _width(n, shape.d, rank))
    return min(_MOST, compute.images, _LEAST + more)


def _read(
    images: Images,
    size: int,
    units: _Units,
    device: str,
    use: Callable[[Float64[Tensor, "k d"]], None],
    note: str,
    before: int,
) -> Generator[Progress, None, None]:
    """One pass, given as values in float64 that may be changed. Progress in images of two passes.

    Raises:
        BadInput: the images changed on the way. NonFinite.
    """
    reading, n, done, start = Reading(images, size), len(images.train), 0, time.monotonic()
    for chunk in reading.chunks(0, n):
        use(units.values(chunk.to(device)))
        done += len(chunk)
        rate = done / max(time.monotonic() - start, 1e-9)
        yield Progress(before + done, 2 * n, note, {"rate": rate, "seconds_left": (2 * n - before - done) / rate})
    reading.check()


class _Units:
    """Stored pixels as numbers near zero: exact for 8 bits, whose sums stay whole; and back to x0."""

    def __init__(self, zero: Float64[Tensor, "..."], scale: float, shift: float, pivot: Float64[Tensor, " d"]) -> None:
        self.zero, self.scale, self.shift, self.pivot = zero, scale, shift, pivot

    @staticmethod
    def of(train: Dataset, size: int, device: str) -> _Units:
        """`pivot` is about the mean, of which products in float32 are formed."""
        some = train.data[:size].to(device).double()
        if train.is_8bit:
            zero = some.new_full((), 128.0)
            return _Units(zero, 1 / 127.5, -1.0, some.mean(dim=0) - zero)
        return _Units(some.mean(dim=0), 1.0, 0.0, some.new_zeros(some.shape[1]))

    def values(self, stored: Shaped[Tensor, "k d"]) -> Float64[Tensor, "k d"]:
        found = stored.double().sub_(self.zero)
        if stored.dtype != torch.uint8 and not bool(found.isfinite().all()):
            raise NonFinite("The images hold NaN or infinity; statistics need finite values. Clean or leave them out.")
        return found

    def x0(self, values: Float64[Tensor, " d"]) -> Float64[Tensor, " d"]:
        return (values + self.zero) * self.scale + self.shift


class _Seen:
    """What the first pass keeps: sums and squares of every pixel and of its sum over channels, and S Omega."""

    def __init__(self, shape: ImageShape, units: _Units, width: int, device: str) -> None:
        generator = torch.Generator().manual_seed(0)
        self.shape, self.units, self.count = shape, units, 0
        self.omega: Float[Tensor, "d m"] = torch.randn(shape.d, width, generator=generator).to(device)
        self.image = torch.zeros(shape.d, width, dtype=torch.float64, device=device)
        self.sums, self.squares = torch.zeros(2, shape.d, dtype=torch.float64, device=device)
        self.summed = torch.zeros(shape.h * shape.w, dtype=torch.float64, device=device)

    def add(self, values: Float64[Tensor, "k d"]) -> None:
        self.count += len(values)
        self.sums += values.sum(dim=0)
        self.squares += values.square().sum(dim=0)
        self.summed += self._over_channels(values).square().sum(dim=0)
        near = values.sub_(self.units.pivot).float()
        self.image += near.T @ (near @ self.omega)

    def directions(self) -> Float64[Tensor, "d m"]:
        """An orthonormal basis of the range of S Omega; what the pass was about is given back."""
        apart = self.sums / self.count - self.units.pivot
        self.image.addr_(apart, self.omega.double().T @ apart, alpha=-float(self.count))
        image, self.image, self.omega = self.image, apart.new_empty(0), self.omega.new_empty(0)
        found: Tensor = torch.linalg.qr(image).Q
        return found

    def variances(self) -> Variances:
        unit = self.units.scale**2 / (self.count - 1)
        single = (self.squares - self.sums.square() / self.count).clamp(min=0.0) * unit
        over = self._over_channels(self.sums[None])[0]
        return Variances(single, (self.summed - over.square() / self.count).clamp(min=0.0) * unit)

    def _over_channels(self, values: Float64[Tensor, "k d"]) -> Float64[Tensor, "k hw"]:
        return values.reshape(len(values), self.shape.c, -1).sum(dim=1)
