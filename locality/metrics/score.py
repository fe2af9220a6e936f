"""What a metric plug-in declares: one number per image, of a model's last estimate beside the reference's."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from jaxtyping import Float, Float64
from torch import Tensor

from locality.specs import Registry, Spec
from locality.types import ImageShape


@dataclass(frozen=True)
class ScoreSpec(Spec):
    """Base of the metric plug-ins. A benchmark has a column for each, with standard errors and paired differences.

    `heading` stands above the column, `about` says what is computed, `better` which end is; `limits` are what it
    cannot leave, as in "at most 1", and `unit` is its unit.
    """

    heading: ClassVar[str]
    about: ClassVar[str]
    better: ClassVar[Literal["higher", "lower"]]
    limits: ClassVar[str] = ""
    unit: ClassVar[str] = ""

    @abstractmethod
    def scores(
        self, estimate: Float[Tensor, "n d"], target: Float[Tensor, "n d"], shape: ImageShape
    ) -> Float64[Tensor, " n"]:
        """A score of each image: the estimates of a model, not clamped, beside those of the reference network.

        nan where it is not defined. An image's score never depends on the images beside it.
        """


SCORES: Registry[ScoreSpec] = Registry("metric", ScoreSpec)
