"""What a sweep over an edit's strength is: how it is made, and the rows and lines that come out."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from locality.edits import EditSpec
from locality.errors import BadInput
from locality.fields.mass import QUANTITIES
from locality.schedule import HIGHEST, LOWEST
from locality.specs import Spec, param

PREDICTED = "wiener"
Point = tuple[float, float, float]  # x, y, standard error of y or nan
LEAST = 4  # points of a line: with three a slope has one degree of freedom, and an interval of 12.7 errors
BENT = 0.05  # of the range of a curve: the most that a point may be off its line
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
ABOUT = {
    "strength": "what the edit's dial is at: c of x0' = x0 + c z w for a pattern",
    "mass_on_pattern": "share of the field's absolute mass on the pattern, mean over the pixels; in [0, 1]",
    "mass_without_own": "the same, excluding the field's own pixel",
    "non_locality": "share of the absolute mass farther than 4 pixels from the field's pixel; in [0, 1]",
    "stderr": "standard error over draws (jackknife); null for predictions, which have none",
    "n": "draws of held-out image and noise that a network's fields are averaged over",
    "chance": "the pattern's share of the pixels, beside `mass_on_pattern`",
    "chance_without_own": "its share of all pixels but the field's own, beside `mass_without_own`",
    "fits": "least-squares line of a quantity against the strength, or against the prediction's (`against`), with "
    "Student's 95 % interval of the slope [slope_low, slope_high]; four points or more, and only where no point is "
    f"farther from it than {BENT:.0%} of their range and two of its standard errors: a curve that saturates has no "
    "slope; errors are over the points, which are one training each",
    "bent": "the curves that are no lines",
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
    pixels that the pattern covers, `chance_without_own` of those that are not the field's own; nan for an edit without.
    """

    dataset: str
    edit: str
    plan: SweepPlan
    pixels: list[list[int]]
    chance: float
    chance_without_own: float
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
        """Lines through the curves that are lines: against the strength, and a network's against the prediction's."""
        lines = ((about, fit_line(points)) for about, points in self._curves() if not bends(points))
        return [about | line for about, line in lines if line is not None and line["n"] >= LEAST]

    def bent(self) -> list[dict[str, Any]]:
        """The curves that no line fits, since they saturate, say: model, quantity, against."""
        return [about for about, points in self._curves() if bends(points)]

    def _curves(self) -> Iterator[tuple[dict[str, Any], list[Point]]]:
        for quantity in QUANTITIES:
            predicted = {strength: value for strength, value, _ in self.curve(PREDICTED, quantity)}
            for model in self.models:
                points = self.curve(model, quantity)
                yield {"model": model, "quantity": quantity, "against": "strength"}, points
                if model != PREDICTED:
                    against = [(predicted[c], value, error) for c, value, error in points if c in predicted]
                    yield {"model": model, "quantity": quantity, "against": "prediction"}, against

    def to_json(self) -> dict[str, Any]:
        """Plain values (nan where a number is not defined)."""
        return {
            "dataset": self.dataset,
            "edit": self.edit,
            **{name: value for name, value in dataclasses.asdict(self.plan).items() if name != "pixels"},
            "strengths": list(self.plan.strengths),
            "pixels": self.pixels,
            "chance": self.chance,
            "chance_without_own": self.chance_without_own,
            "rows": self.rows,
            "fits": self.fits(),
            "bent": self.bent(),
            "networks": self.networks,
            "notes": self.notes,
            "about": ABOUT,
        }


def fit_line(points: Sequence[Point]) -> dict[str, Any] | None:
    """The least-squares line of (x, y, error of y): slope, its standard error and 95 % interval, intercept and R^2.

    None for fewer than three x: every two points are on a line. R^2 is nan where all y are the same.
    """
    from scipy import stats

    x, y = [point[0] for point in points], [point[1] for point in points]
    if len(set(x)) < 3:
        return None
    line = stats.linregress(x, y)
    slope, error = float(line.slope), float(line.stderr)
    away = float(stats.t.ppf(0.975, len(x) - 2)) * error
    return {
        "slope": slope,
        "slope_stderr": error,
        "slope_low": slope - away,
        "slope_high": slope + away,
        "intercept": float(line.intercept),
        "r2": float(line.rvalue) ** 2 if len(set(y)) > 1 else math.nan,
        "n": len(x),
    }


def bends(points: Sequence[Point]) -> bool:
    """Whether a point is off the line through all by more than a twentieth of their range and two of its errors."""
    line = fit_line(points)
    if line is None:
        return False
    y = [point[1] for point in points]
    off = [abs(value - line["intercept"] - line["slope"] * x) for x, value, _ in points]
    allowed = [max(BENT * (max(y) - min(y)), 0.0 if math.isnan(error) else 2 * error) for _, _, error in points]
    return any(away > most + 1e-12 for away, most in zip(off, allowed, strict=True))


def row_of(
    model: str, strength: float, masses: Mapping[str, Any], network: str | None, edit: EditSpec
) -> dict[str, Any]:
    """One row of a sweep."""
    return {"model": model, "strength": strength, "edit": edit.text(), "network": network, **masses}


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
