"""Mean and covariance in one pass: mergeable, exact for 8-bit images, float64 otherwise.

8-bit pixels minus 128 are integers, so sums of products are integers too: no rounding anywhere,
whatever the chunks, their order or the device. The covariance is scaled and centred once, at the end.
Memory: 8 d^2 bytes for the sums, d (size of a chunk) bytes while adding; independent of n.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Int8, Shaped, UInt8
from torch import Tensor

from locality.device import fast_integers
from locality.errors import BadInput, NonFinite

_EXACT_INT32 = 131_071  # images whose products of int8 pixels cannot leave int32: (2^31 - 1) // 128^2
_EXACT_FLOAT32 = 1024  # ... cannot leave the integers float32 holds: 2^24 // 128^2
_BLOCK = 768  # columns per block of the upper triangle


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums over images; `a + b` merges two parts of a set.

    `sums` [d] and `gram` [d, d] (upper block triangle filled) are int64 over pixels minus 128, or
    float64 over float images.
    """

    count: int
    sums: Shaped[Tensor, " d"]
    gram: Shaped[Tensor, "d d"]

    def __add__(self, other: Moments) -> Moments:
        if self.sums.dtype != other.sums.dtype or self.sums.shape != other.sums.shape:
            raise BadInput("Only moments of the same kind of images merge: same size, both 8-bit or both float.")
        return Moments(self.count + other.count, self.sums + other.sums, self.gram + other.gram)

    def mean(self) -> Float[Tensor, " d"]:
        """Mean image, float64, in [-1, 1] units."""
        mean = self.sums.double() / self.count
        return mean if self.sums.is_floating_point() else (mean + 128.0) / 127.5 - 1.0

    def cov(self) -> Float[Tensor, "d d"]:
        """Covariance with 1 / (n - 1), float64, in [-1, 1] units squared.

        For 8-bit images the centred sum n * gram - sums sums^T is formed in integers.

        Raises:
            BadInput: fewer than two images.
        """
        if self.count < 2:
            raise BadInput(f"A covariance needs at least two images, got {self.count}.")
        upper = torch.triu(self.gram)
        centred = torch.outer(self.sums, self.sums).neg_().add_(upper + torch.triu(upper, 1).T, alpha=self.count)
        scale = 1.0 if self.sums.is_floating_point() else 127.5**2
        return centred.double().div_(self.count * (self.count - 1) * scale)


def estimate_moments(chunks: Iterable[Shaped[Tensor, "_ d"]], *, device: str = "cpu") -> Moments:
    """Moments of uint8 pixels or float values, streamed.

    Raises:
        BadInput: no images.
        NonFinite: a float image holds NaN or infinity.
    """
    for running in accumulate_moments(chunks, device=device):
        last = running
    return last


def accumulate_moments(chunks: Iterable[Shaped[Tensor, "_ d"]], *, device: str = "cpu") -> Iterator[Moments]:
    """As `estimate_moments`, yielding the running moments after every chunk.

    The sums are updated in place: keep only the last one.

    Raises:
        BadInput: no images.
        NonFinite: a float image holds NaN or infinity.
    """
    count, sums, gram = 0, torch.empty(0), torch.empty(0)
    for chunk in chunks:
        if count == 0:
            kind = torch.int64 if chunk.dtype == torch.uint8 else torch.float64
            sums = torch.zeros(chunk.shape[1], dtype=kind, device=device)
            gram = torch.zeros(chunk.shape[1], chunk.shape[1], dtype=kind, device=device)
        for part in chunk.split(_EXACT_INT32 // 2):
            _add(part.to(device), sums, gram)
        count += len(chunk)
        yield Moments(count, sums, gram)
    if count == 0:
        raise BadInput("No images: statistics need at least two.")


def _add(part: Shaped[Tensor, "k d"], sums: Shaped[Tensor, " d"], gram: Shaped[Tensor, "d d"]) -> None:
    """Add one chunk to the sums, upper block triangle only."""
    exact = part.dtype == torch.uint8
    if exact:
        values = _pad(shifted(part))
        sums += values[:, : len(sums)].sum(dim=0, dtype=torch.int64)
    else:
        values = part.double()
        if not bool(values.isfinite().all()):
            raise NonFinite("The images hold NaN or infinity; statistics need finite values. Clean or leave them out.")
        sums += values.sum(dim=0)
    rows = values.T.contiguous()
    d = len(sums)
    for i in range(0, d, _BLOCK):
        left, right = rows[i : i + _BLOCK], values[:, i:]
        product = integer_product(left, right) if exact else left @ right
        gram[i : i + _BLOCK, i:] += product[: d - i, : d - i]


def shifted(pixels: UInt8[Tensor, "k d"]) -> Int8[Tensor, "k d"]:
    """8-bit pixels minus 128."""
    return pixels.bitwise_xor(128).view(torch.int8)  # in two's complement


def integer_product(left: Int8[Tensor, "a k"], right: Int8[Tensor, "k b"]) -> Int[Tensor, "a b"]:
    """left @ right without rounding."""
    if fast_integers(left.device.type):
        product: Tensor = torch._int_mm(left, right.contiguous())
        return product
    return _product_by_floats(left, right)


def _product_by_floats(left: Int8[Tensor, "a k"], right: Int8[Tensor, "k b"]) -> Int[Tensor, "a b"]:
    """The same where integer products are slow or missing: float32 over as many images as stay exact."""
    parts = (
        left[:, k : k + _EXACT_FLOAT32].float() @ right[k : k + _EXACT_FLOAT32].float()
        for k in range(0, left.shape[1], _EXACT_FLOAT32)
    )
    return torch.stack([part.long() for part in parts]).sum(dim=0)


def _pad(values: Int8[Tensor, "k d"]) -> Int8[Tensor, "K D"]:
    """Zero rows and columns up to multiples of 32, which integer tensor cores ask for; sums do not change."""
    k, d = values.shape
    return torch.nn.functional.pad(values, (0, -d % 32, 0, -k % 32))
