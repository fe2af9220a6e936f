"""Clip: values that left [-1, 1] are brought back to its ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from locality.dataset import Dataset
from locality.edits.parts.spec import EDITS, Closed, EditSpec, Stage, transformed
from locality.specs import param


@EDITS.register("clip")
@dataclass(frozen=True)
class Clip(EditSpec):
    """Clips values to a range, as picture files do. Statistics are measured on the clipped images."""

    heading: ClassVar[str] = "Clip"
    about: ClassVar[str] = r"x_0' = \min(\max(x_0, -b), b)"
    main: ClassVar[str] = "bound"
    switch: ClassVar[str] = "Clip to [−1, 1]"
    switch_help: ClassVar[str] = (
        "A pattern pushes values beyond the range of the images. Clipping them, as a picture file would, makes the "
        "closed form inexact: the covariance is then measured on the clipped images, which takes a while."
    )
    examples: ClassVar[tuple[str, ...]] = ("clip:bound=0.3",)
    closed: ClassVar[Closed] = "none"

    bound: float = param(1.0, help="Largest absolute value b.", low=0.01, high=100.0, unit="units of x0")

    def images(self, data: Dataset, stage: Stage) -> Dataset:
        return transformed(data, lambda x0, rows: x0.clamp(-self.bound, self.bound))
