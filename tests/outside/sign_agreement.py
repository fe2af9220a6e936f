"""A metric that lies outside the package: where two images are on the same side of grey."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from jaxtyping import Float, Float64
from torch import Tensor

from locality.metrics import SCORES, ScoreSpec
from locality.types import ImageShape


@SCORES.register("sign_agreement")
@dataclass(frozen=True)
class SignAgreement(ScoreSpec):
    """Share of the values that are both above zero or both not."""

    heading: ClassVar[str] = "Same side"
    about: ClassVar[str] = "share of the pixels and channels of an image in which both estimates have the same sign"
    better: ClassVar[Literal["higher", "lower"]] = "higher"
    limits: ClassVar[str] = "in [0, 1]"
    examples: ClassVar[tuple[str, ...]] = ("sign_agreement",)

    def scores(
        self, estimate: Float[Tensor, "n d"], target: Float[Tensor, "n d"], shape: ImageShape
    ) -> Float64[Tensor, " n"]:
        return ((estimate > 0) == (target > 0)).double().mean(dim=1)
