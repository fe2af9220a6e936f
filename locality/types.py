"""The nouns every layer shares: image shapes, pixels and denoisers."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from locality.errors import BadInput, NonFinite


class ImageShape(NamedTuple):
    """Channels, rows and columns of one image."""

    c: int
    h: int
    w: int

    @property
    def d(self) -> int:
        """Number of coordinates of a flattened image (channel-major)."""
        return self.c * self.h * self.w

    def __str__(self) -> str:
        return f"{self.c}x{self.h}x{self.w}"

    def check(self, x: Float[Tensor, "b d"]) -> None:
        """Refuse what a denoiser of this shape cannot take.

        Raises:
            BadInput: another number of coordinates.
            NonFinite: NaN or infinity.
        """
        if x.shape[1] != self.d:
            raise BadInput(f"Images of {x.shape[1]} values do not fit a denoiser of {self} images ({self.d} values).")
        if not bool(x.isfinite().all()):
            raise NonFinite("The noisy images hold NaN or infinity; a denoiser needs finite values.")


class Pixel(NamedTuple):
    """A pixel by row (from the top) and column (from the left), both from 0."""

    row: int
    col: int


@runtime_checkable
class Denoiser(Protocol):
    """Estimate of the clean image: x0_hat = denoiser(x, sigma), x = x0 + sigma * eps.

    sigma is the noise standard deviation in units of x0 (images in [-1, 1]).
    """

    @property
    def shape(self) -> ImageShape: ...

    def __call__(self, x: Float[Tensor, "b d"], sigma: float) -> Float[Tensor, "b d"]: ...
