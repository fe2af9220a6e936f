"""What a measurement of costs is: where it is made, its points, and the exponents fitted through them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from locality.errors import BadInput
from locality.schedule import HIGHEST, LOWEST
from locality.specs import Spec, param

AXES = {"N": "training images", "d": "values of an image, by averaging squares of pixels", "batch": "images of a step"}
ABOUT = {
    "points": "one measurement each: N training images of d values, `batch` noisy images in one denoising call",
    "seconds": "of one call, as in a sampling step, after the fit, on `threads` processor threads: mean over the noise "
    "levels of the minimum over `repeats`, since other work on the machine only adds time",
    "bytes": "largest resident memory during the calls above what the process held before them (CUDA: PyTorch's "
    "allocator): what chunks, queries and masks take; the memory budget bounds it, so that it stops growing with N; "
    "null where the system does not report it",
    "exponents": "slope of ln(seconds or bytes) over ln(value) by least squares, its standard error and number of "
    "points; null where fewer than two points are there, or for the error three",
}


@dataclass(frozen=True)
class CostPlan(Spec):
    """Where costs are measured: along each axis with the other two at their base."""

    images: tuple[int, ...] = param((250, 500, 1000, 2000), help="Numbers of training images.", low=2)
    pools: tuple[int, ...] = param((1, 2, 4), help="Resolutions: squares of P x P pixels averaged.", low=1, high=64)
    batches: tuple[int, ...] = param((1, 2, 4, 8), help="Batch sizes.", low=1, high=4096)
    base_images: int = param(1000, help="Training images where they are not varied.", low=2)
    base_batch: int = param(4, help="Noisy images where they are not varied.", low=1, high=4096)
    sigmas: tuple[float, ...] = param((0.3, 1.0, 3.0), help="Noise levels.", low=LOWEST, high=HIGHEST)
    repeats: int = param(2, help="Measurements per point; the minimum counts.", low=1, high=100)
    threads: int = param(1, help="Processor threads; 1 is disturbed least by other work on the machine.", low=1)
    seed: int = param(0, help="Seed of the noise.", low=0, high=2**31 - 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("images", "pools", "batches", "sigmas"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise BadInput(f"{self.called()}:{name}={values}: give at least one value, each once.")


@dataclass(frozen=True, eq=False)
class Costs:
    """Points and exponents of some models; `ABOUT` says what each number is."""

    dataset: str
    plan: CostPlan
    points: tuple[dict[str, Any], ...]
    notes: tuple[str, ...]

    def exponents(self) -> list[dict[str, Any]]:
        """`model`, `axis`, `quantity`, `exponent`, `stderr`, `n` of every curve."""
        curves: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for point in self.points:
            curves.setdefault((point["model"], point["axis"]), []).append(point)
        return [
            {"model": model, "axis": axis, "quantity": quantity, **_fit(points, axis, quantity)}
            for (model, axis), points in curves.items()
            for quantity in ("seconds", "bytes")
        ]

    def to_json(self) -> dict[str, Any]:
        """Plain values, and what each number is."""
        return {
            "dataset": self.dataset,
            "plan": dataclasses.asdict(self.plan),
            "points": list(self.points),
            "exponents": self.exponents(),
            "notes": list(self.notes),
            "about": {**ABOUT, **AXES},
        }


def _fit(points: Sequence[dict[str, Any]], axis: str, quantity: str) -> dict[str, Any]:
    """Exponent of a power law through the points, by least squares on logarithms."""
    from scipy.stats import linregress

    known = [(point[axis], point[quantity]) for point in points if point[quantity]]
    if len({value for value, _ in known}) < 2:
        return {"exponent": None, "stderr": None, "n": len(known)}
    line = linregress([math.log(value) for value, _ in known], [math.log(spent) for _, spent in known])
    stderr = float(line.stderr) if len(known) > 2 else None
    return {"exponent": float(line.slope), "stderr": stderr, "n": len(known)}
