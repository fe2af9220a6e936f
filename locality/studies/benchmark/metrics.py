"""The metrics of a benchmark, a row each: what it is, what it is computed from, unit and range, which end is better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from locality.errors import BadInput
from locality.metrics import SCORES, ScoreSpec

HIGHER, LOWER, NEITHER = "higher", "lower", ""
# The kinds of cells: see `locality.studies.benchmark.cells`.
OWN, TRAJECTORY, HELD_OUT, NEAREST, FEATURES = "own", "trajectory", "held_out", "nearest", "features"
BESIDE, LEVELS = "beside", "levels"
MIDDLE = (0.3, 10.0)  # noise levels between which the best methods differ most; beyond them they are nearly alike
_SCORE = "score-"  # and the name of a metric plug-in, whose cells are its own


@dataclass(frozen=True)
class Metric:
    """A column of the leaderboard.

    `cell`: the kind of cell it is computed from. `scores`: arrays of that cell and the scores of images they become;
    none for distances, which are of all images at once. `brief`: a few words below its title. `limits`: what it
    cannot leave. `by_sigma`: there is a row for each noise level too. `compared`: with paired differences.
    """

    name: str
    title: str
    cell: str
    better: str
    scores: Mapping[str, str] = field(default_factory=dict)
    about: str = ""
    brief: str = ""
    limits: str = ""
    unit: str = ""
    by_sigma: bool = False
    compared: bool = False

    @property
    def sentence(self) -> str:
        """What it is, its range and its unit."""
        return "; ".join(filter(None, (self.about, self.limits, self.unit)))

    @property
    def score(self) -> str:
        """The score that tells whether a model has any of it."""
        return next(iter(self.scores.values()), "")

    @property
    def to_reference(self) -> bool:
        """Whether it compares a model with the reference, which itself has none of it."""
        return self.cell in (OWN, TRAJECTORY) or self.cell.startswith(_SCORE)


_R2 = "1 - sum (a - u)^2 / sum (u - mean u)^2 over all pixels and channels of an image, a the model, u the reference"
_DISTANCE = "between the generated images and training images (`real` of them), through `features`"

# fmt: off
_TABLE = (
    Metric("r2_final", "R2 final", OWN, HIGHER, {"r2": "r2_own"}, brief="own trajectories", compared=True,
        about=f"{_R2}: last estimates, each on its own trajectory from the same noise, not clamped; mean over images; "
        "images whose u is constant are left out (`undefined`)",
        limits="at most 1, can be negative", unit="dimensionless"),
    Metric("r2_trajectory", "R2 on-trajectory", TRAJECTORY, HIGHER, {"r2": "r2_trajectory"}, by_sigma=True,
        compared=True,
        about=f"{_R2}: both estimates at the noisy image x of the REFERENCE's trajectory, which isolates the denoiser; "
        "by noise level, and with sigma null each image's mean over all steps",
        limits="at most 1", brief="network’s trajectory"),
    Metric("r2_middle", "R2 on-trajectory, sigma .3 to 10", TRAJECTORY, HIGHER, {"r2": "r2_trajectory"}, compared=True,
        about="the same, each image's mean over the steps with sigma from .3 to 10 alone, where the best methods "
        "differ most: beyond them they are nearly alike (copies at little noise are not), and count in "
        "`r2_trajectory` as much", limits="at most 1", brief="where the best differ"),
    Metric("r2_second", "R2 final, second network", BESIDE, HIGHER, {"r2": "r2_second"}, brief="another reference",
        about="as r2_final with the second network in the reference's place: what holds for one network only is no "
        "finding", limits="at most 1, can be negative"),
    Metric("r2_own", "R2 per step", OWN, HIGHER, {"r2": "r2_own"}, by_sigma=True,
        about=f"{_R2}: as r2_final at every step, by noise level", limits="at most 1"),
    Metric("pearson", "Pearson r", OWN, HIGHER, {"pearson": "pearson"}, brief="not comparable with R2",
        about="correlation of the last estimates over all pixels and channels of an image; blind to scale and offset, "
        "so not to be compared with R2", limits="in [-1, 1]"),
    Metric("mse", "MSE", OWN, LOWER, {"mse": "mse"}, brief="[−1, 1] units",
        about="mean squared difference of the last estimates, not clamped", unit="[-1, 1] units squared"),
    Metric("mse01", "MSE, [0, 1]", OWN, LOWER, {"mse01": "mse01"}, brief="clamped, [0, 1] units",
        about="mean squared difference of the last images, clamped to [-1, 1] and scaled to [0, 1]",
        limits="in [0, 1]"),
    Metric("denoise_ratio", "error / Wiener", HELD_OUT, LOWER, {"errors": "errors"}, by_sigma=True, compared=True,
        about="mean of |D(x0 + sigma eps) - x0|^2 over held-out images, over the same mean of the Wiener filter "
        "(fitted to the benchmark's training images) on the same images and noise; by noise level, and with sigma null "
        "the geometric mean of the ratios over the levels (`sigmas` of the plan, by default .1 to 5), in which the "
        "lowest, where ratios differ most, decide; 1 is as good as Wiener; standard error by the delta method",
        brief="geometric mean over σ"),
    Metric("denoise_steps", "error / Wiener, sampling levels", LEVELS, LOWER, {"errors": "errors_steps"}, by_sigma=True,
        about="as denoise_ratio at every noise level of the sampling steps; with sigma null the ratio of the errors "
        "summed over those from .3 to 10", brief="summed errors, σ .3–10"),
    Metric("memorised", "memorised", NEAREST, LOWER, {"nearest": "nearest", "second": "second"}, limits="in [0, 1]",
        about="share of the generated images that are copies: L2 distance to the nearest training image below a third "
        "of that to the second nearest; compare with the row of held-out images. A model is compared with the "
        "training images it was given, a network with all", brief="share of samples"),
    Metric("nn_distance", "nearest", NEAREST, NEITHER, {"nearest": "nearest"}, brief="L2, [−1, 1] units",
        about="L2 distance of the generated images, not clamped, to the nearest training image, of those the model was "
        "given: fewer images are farther away",
        unit="units of [-1, 1], summed over pixels and channels under the root"),
    Metric("kid", "KID", FEATURES, LOWER, limits="can be negative",
        about=f"kernel distance, unbiased, kernel (a.b / f + 1)^3, {_DISTANCE}; jackknife of both sets; it grows with "
        "the sixth power of the features' norm, so compare rows of one extractor alone"),
    Metric("fid", "FID", FEATURES, LOWER,
        about=f"Frechet distance {_DISTANCE} = inception; only where there are more generated images than features "
        "(2,048); biased upwards with few images; jackknife over the generated images"),
    Metric("frechet", "Frechet distance", FEATURES, LOWER,
        about=f"Frechet distance {_DISTANCE}, which is not FID; only where there are more generated images than "
        "features; biased upwards with few images: compare rows of the same n, and with the row of held-out images"),
    Metric("is", "IS", FEATURES, HIGHER, limits="at least 1",
        about="inception score, of all generated images at once; only where there are more of them than features"),
    Metric("class_score", "class score", FEATURES, HIGHER, limits="1 (all the same) to the number of classes",
        about="the inception score's formula on the class probabilities of `features`, which is not IS"),
)
# fmt: on


def score_cell(name: str) -> str:
    """The kind of cell of a metric plug-in."""
    return f"{_SCORE}{name}"


def _plugged(name: str, cls: type[ScoreSpec]) -> Metric:
    if name in {metric.name for metric in _TABLE}:
        raise BadInput(f"The metric {name!r} ({cls.__module__}.{cls.__qualname__}): the name is taken. Give another.")
    row = Metric(name, cls.heading, score_cell(name), cls.better, {name: name}, about=cls.about)
    return replace(row, limits=cls.limits, unit=cls.unit)


METRICS: dict[str, Metric] = {
    **{metric.name: metric for metric in _TABLE},
    **{name: _plugged(name, cls) for name, cls in SCORES.items()},
}
OF_IMAGES = [name for name, metric in METRICS.items() if metric.scores]
CELLS = tuple(dict.fromkeys(METRICS[name].cell for name in OF_IMAGES))  # kinds of cells that hold scores of images
COMPARED = [name for name, metric in METRICS.items() if metric.compared]


def scores_of(cell: str) -> dict[str, str]:
    """The arrays of a kind of cell that are read, and the scores they become."""
    return {array: score for one in METRICS.values() if one.cell == cell for array, score in one.scores.items()}


def every_step(score: str) -> bool:
    """Whether a score is reported at every noise level; of the others only the last step is."""
    return any(score in metric.scores.values() for metric in METRICS.values() if metric.by_sigma)
