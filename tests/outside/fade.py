"""An edit that lies outside the package: every image fades towards grey."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from locality.edits import EDITS
from locality.edits.parts.linear import LinearEdit
from locality.specs import param
from locality.types import ImageShape


@EDITS.register("fade")
@dataclass(frozen=True)
class Fade(LinearEdit):
    """Values are multiplied by 1 - a: fields at a noise level become those at a higher one."""

    heading: ClassVar[str] = "Fade"
    about: ClassVar[str] = r"x_0' = (1 - a)\,x_0:\quad S' = (1 - a)^2 S"
    main: ClassVar[str] = "amount"
    dial: ClassVar[str] = "amount"
    symbol: ClassVar[str] = "a"
    examples: ClassVar[tuple[str, ...]] = ("fade", "fade:amount=0.2")

    amount: float = param(0.5, help="Share a that is taken away.", low=0.0, high=0.9)

    def linear(self, x: Float[Tensor, "k d"], shape: ImageShape) -> Float[Tensor, "k d"]:
        return x * (1 - self.amount)
