"""What images are compared by: numbers per image that a named extractor reads off them."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from locality.types import ImageShape


@runtime_checkable
class Features(Protocol):
    """An extractor of features. Its `name` stands beside every number made with it.

    The number of images given at once never changes an image's features beyond float tolerance.
    """

    @property
    def name(self) -> str: ...

    def key(self) -> dict[str, Any]:
        """Everything its features depend on but the images, as plain JSON values."""

    def of(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n f"]:
        """Features of images in [-1, 1] (values beyond are allowed), float32 on the CPU."""

    def probabilities(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n c"] | None:
        """Class probabilities, rows summing to 1; None where the extractor knows no classes."""


def as_8bit(x: Float[Tensor, "n d"], shape: ImageShape) -> UInt8[Tensor, "n c h w"]:
    """Images as they would be saved: clamped to [-1, 1] and rounded to 0..255; exact for 8-bit originals."""
    return ((x.clamp(-1.0, 1.0) + 1.0) * 127.5).round().to(torch.uint8).reshape(-1, *shape)
