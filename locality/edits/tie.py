"""Tie the pixels of a mask together: each is blended towards their common mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from locality.edits.parts.linear import LinearEdit, pixels
from locality.edits.parts.masked import MaskedSpec
from locality.edits.parts.spec import EDITS
from locality.specs import param
from locality.types import ImageShape


@EDITS.register("tie")
@dataclass(frozen=True)
class Tie(LinearEdit, MaskedSpec):
    """Pixels of the mask move towards the image's mean over the mask, channel by channel. Strength 1: all equal."""

    heading: ClassVar[str] = "Tie"
    about: ClassVar[str] = (
        r"x_0'[p] = (1 - t)\,x_0[p] + t\,\bar x_0 \text{ on the mask},\quad \bar x_0 \text{ its mean there}"
    )
    symbol: ClassVar[str] = "t"
    place: ClassVar[int] = 2
    examples: ClassVar[tuple[str, ...]] = ("tie:mask=eyes,strength=0.6", "tie:mask=stripe,strength=1")

    strength: float = param(
        0.7, help="Weight t of the mean: 0 leaves the images unchanged, 1 makes the pixels equal.", low=0.0, high=1.0
    )

    def linear(self, x: Float[Tensor, "k d"], shape: ImageShape) -> Float[Tensor, "k d"]:
        on = self.pattern(shape) != 0
        images = pixels(x, shape).clone()
        held = images[:, :, on]
        images[:, :, on] = held.lerp(held.mean(dim=2, keepdim=True).expand_as(held), self.strength)
        return images.flatten(1)
