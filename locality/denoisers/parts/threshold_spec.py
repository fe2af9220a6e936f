"""Options of the models that cut the field at a threshold."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from locality.denoisers.parts.fields import FieldSpec
from locality.errors import BadInput
from locality.specs import param
from locality.types import ImageShape

# Lukoianov et al. 2025 (arXiv 2509.09672), released configurations.
PUBLISHED_TAU = {"mnist": 0.005, "fashion_mnist": 0.005, "cifar10": 0.05, "celeba_hq": 0.02, "afhqv2": 0.02}
OTHER_TAU = 0.02
T = TypeVar("T", bound="ThresholdSpec")


@dataclass(frozen=True)
class ThresholdSpec(FieldSpec):
    """What the models that cut the field at a threshold share."""

    tau: str = param(
        "published",
        help="Pixels whose weight is at least tau times the pixel's own are compared: a number in [0, 1], or "
        "published (the paper's value for the dataset; 0.02 where it has none).",
    )
    mask_rule: str = param(
        "row",
        help="row: relative to the coordinate's own weight (the paper). code: relative to the largest of the whole "
        "matrix, taken by columns (the released code).",
        choices=("row", "code"),
    )
    temperature: float = param(1.0, help="T: above 1 averages more images, below 1 fewer.", low=0.01, high=1000.0)

    @property
    def exempt(self) -> Mapping[str, str]:
        mixed = "channels differ in their weights; evidence has the mean"
        return {**super().exempt, "evidence_makes_every_channel": mixed}

    def check(self, dataset: str, shape: ImageShape) -> None:
        self.threshold(dataset)

    def settled(self: T, dataset: str) -> T:
        return dataclasses.replace(self, tau=str(self.threshold(dataset)))

    def threshold(self, dataset: str) -> float:
        """tau as a number. Raises BadInput."""
        if self.tau == "published":
            return PUBLISHED_TAU.get(dataset, OTHER_TAU)
        try:
            tau = float(self.tau)
        except ValueError:
            tau = -1.0
        if not 0.0 <= tau <= 1.0:
            raise BadInput(f"{self.name}:tau={self.tau!r} is not a threshold. Give a number in [0, 1], or published.")
        return tau
