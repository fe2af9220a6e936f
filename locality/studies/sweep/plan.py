"""What a sweep over an edit's strength is: how it is made, and the rows and lines that come out."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from locality.edits import EditSpec
from locality.errors import BadInput
from locality.fields.mass import QUANTITIES
from locality.schedule import HIGHEST, LOWEST
from locality.specs import Spec, param

PREDICTED = "wiener"
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
ABOUT = {
    "strength": "what the edit's dial is at: c of x0' = x0 + c z w for a pattern",
    "mass_on_pattern": "share of the field's absolute mass on the pattern, mean over the pixels; in [0, 1]",
    "mass_without_own": "the same, excluding the field's own pixel",
    "non_locality": "share of the absolute mass farther than 4 pixels from the field's pixel; in [0, 1]",
    "stderr": "standard error over draws (jackknife); null for predictions, which have none",
    "n": "draws of held-out image and noise that a network's fields are averaged over",
    "chance": "the pattern's share of the pixels",
    "fits": "least-squares line of a quantity against the strength, or against the prediction's (`against`); "
    "slope_stderr and r2 need three strengths",
}


@dataclass(frozen=True)
class SweepPlan(Spec):
    """Which fields are measured."""

    sigma: float = param(2.0, help="Noise level of the fields.", low=LOWEST, high=HIGHEST, unit="units of x0")
    strengths: tuple[float, ...] = param(STRENGTHS, help="Strengths of the edit; 0 leaves the images unchanged.")
    pixels: int = param(16, help="Pixels whose fields are averaged, evenly along the pattern.", low=1, high=1024)
    draws: int = param(16, help="Pairs (held-out image, noise) per field of a network.", low=1, high=4096)
    seed: int = param(0, help="Seed of images and noise.", low=0, high=2**31 - 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.strengths or len(set(self.strengths)) < len(self.strengths):
            raise BadInput(f"SweepPlan:strengths={self.strengths}: give at least one strength, each once.")


@dataclass(frozen=True, eq=False)
class Sweep:
    """Fields against the strength of an edit; `ABOUT` says what each number is.

    `rows`: one per model and strength. `networks`: facts of each network that took part. `chance`: share of the
    pixels that the pattern covers, nan for an edit without one.
    """

    dataset: str
    edit: str
    plan: SweepPlan
    pixels: list[list[int]]
    chance: float
    rows: list[dict[str, Any]]
    networks: list[dict[str, Any]]
    notes: list[str]

    @property
    def models(self) -> list[str]:
        """The prediction and the networks, in order."""
        return list(dict.fromkeys(str(row["model"]) for row in self.rows))

    def curve(self, model: str, quantity: str) -> list[tuple[float, float, float]]:
        """(strength, value, standard error) of a model, by strength; what is not defined is left out."""
        points = [
            (float(row["strength"]), _number(row[quantity]), _number(row[f"{quantity}_stderr"]))
            for row in self.rows
            if row["model"] == model
        ]
        return sorted(point for point in points if math.isfinite(point[1]))

    def fits(self) -> list[dict[str, Any]]:
        """Lines through the curves: against the strength, and a network's against the prediction's."""
        found = []
        for quantity in QUANTITIES:
            predicted = {strength: value for strength, value, _ in self.curve(PREDICTED, quantity)}
            for model in self.models:
                points = self.curve(model, quantity)
                lines = {"strength": [(s, value) for s, value, _ in points]}
                if model != PREDICTED:
                    lines["prediction"] = [(predicted[s], value) for s, value, _ in points if s in predicted]
                for against, pairs in lines.items():
                    if (line := fit_line(pairs)) is not None:
                        found.append({"model": model, "quantity": quantity, "against": against, **line})
        return found

    def to_json(self) -> dict[str, Any]:
        """Plain values (nan where a number is not defined)."""
        return {
            "dataset": self.dataset,
            "edit": self.edit,
            **{name: value for name, value in dataclasses.asdict(self.plan).items() if name != "pixels"},
            "strengths": list(self.plan.strengths),
            "pixels": self.pixels,
            "chance": self.chance,
            "rows": self.rows,
            "fits": self.fits(),
            "networks": self.networks,
            "notes": self.notes,
            "about": ABOUT,
        }


def fit_line(pairs: Sequence[tuple[float, float]]) -> dict[str, Any] | None:
    """Slope, its standard error, intercept and R^2 of the least-squares line; None where no line is defined.

    Error and R^2 are nan for two points, which every line fits; R^2 also where all values are the same.
    """
    from scipy import stats

    x, y = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    if len(set(x)) < 2:
        return None
    line = stats.linregress(x, y)
    error = float(line.stderr) if len(x) > 2 else math.nan
    return {
        "slope": float(line.slope),
        "slope_stderr": error,
        "intercept": float(line.intercept),
        "r2": float(line.rvalue) ** 2 if len(x) > 2 and len(set(y)) > 1 else math.nan,
        "n": len(x),
    }


def row_of(
    model: str, strength: float, masses: Mapping[str, Any], network: str | None, edit: EditSpec
) -> dict[str, Any]:
    """One row of a sweep."""
    return {"model": model, "strength": strength, "edit": edit.text(), "network": network, **masses}


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
