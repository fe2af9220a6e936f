"""Plant a pattern: every image gets it with a random strength of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from locality.edits.parts.planted import PlantedSpec
from locality.edits.parts.spec import EDITS, EditSpec


@EDITS.register("pattern")
@dataclass(frozen=True)
class Pattern(PlantedSpec):
    """x0' = x0 + c z w with z normal: S' = S + c^2 w w^T in expectation (see `PlantedSpec` for these very images)."""

    heading: ClassVar[str] = "Pattern"
    about: ClassVar[str] = (
        r"x_0' = x_0 + c\,z\,w,\quad z \sim \mathcal N(0, 1) \text{ per image}\;:\quad S' \approx S + c^2\,w w^{\!\top}"
    )

    sweep_end: ClassVar[float] = 1.0
    place: ClassVar[int] = 1
    examples: ClassVar[tuple[str, ...]] = (
        "pattern:mask=W,strength=0.7",
        "pattern:mask=X,strength=-1.5,seed=3,colour=red-green",
        "pattern:mask=ring,colour=blue-yellow",
    )

    @property
    def dial_range(self) -> tuple[float, float]:
        return 0.0, 2.0

    def conflicts(self, earlier: EditSpec) -> str:
        if not isinstance(earlier, Pattern) or earlier.seed != self.seed:
            return ""
        return (
            "patterns of the same seed rise and fall together and are one pattern. Give the second another seed, "
            f"for example seed={self.seed + 1}, or paint both into one mask."
        )

    @classmethod
    def another(cls, chain: Sequence[EditSpec]) -> Pattern:
        """A second one has strengths and a shape of its own."""
        same = sum(isinstance(edit, Pattern) for edit in chain)
        return cls(mask="X", seed=same) if same else cls()
