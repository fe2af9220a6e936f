"""What a benchmark found: scores of every image, and the means, curves and differences that follow from them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Bool, Float64, UInt8
from torch import Tensor

from locality.errors import BadInput, UnknownName
from locality.metrics import Difference, Summary, is_copy, paired_difference, ratio_scores, summarise
from locality.studies.benchmark.competitors import ANALYTIC, REFERENCE, WIENER, Group
from locality.studies.benchmark.metrics import HIGHER, METRICS, MIDDLE, OF_IMAGES
from locality.studies.benchmark.plan import BenchPlan
from locality.studies.benchmark.sampling import SamplingConfig
from locality.types import ImageShape

RATIOS = ("denoise_ratio", "denoise_steps")


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """One model's part. `scores` by name, images on the last axis, nan where `have` says an image is not finished.

    Scores: r2_own and r2_trajectory [s n], pearson, mse, mse01, r2_second [n], errors [S n] and errors_steps [s n],
    nearest and second [n]. `sigmas` are those of its s steps, `images` its first ones as they would be saved. A stored
    one of an earlier day has no scores of what was not measured then.
    """

    name: str
    kind: str
    notes: tuple[str, ...]
    sigmas: tuple[float, ...]
    facts: dict[str, Any]
    scores: dict[str, Float64[Tensor, "..."]]
    have: dict[str, Bool[Tensor, " n"]]
    images: UInt8[Tensor, "m d"]

    def of(self, name: str) -> Float64[Tensor, "..."]:
        """A score by name; nothing where the model has none."""
        return self.scores.get(name, torch.empty(0, dtype=torch.float64))


@dataclass(frozen=True, eq=False, repr=False)
class Scored:
    """The scores of a benchmark, whole or so far: `missing` are the cells that are not finished."""

    dataset: str
    shape: ImageShape
    reference: str
    second: str | None
    plan: BenchPlan
    train_images: int
    results: tuple[Result, ...]
    distances: tuple[dict[str, Any], ...]
    groups: tuple[Group, ...]
    notes: tuple[str, ...]
    missing: tuple[dict[str, Any], ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    _made: dict[tuple[str, str], Tensor] = field(
        default_factory=dict, init=False, repr=False
    )  # scores by model, metric

    @property
    def names(self) -> list[str]:
        return [result.name for result in self.results]

    def result(self, model: str) -> Result:
        """A model's part. Raises UnknownName."""
        found = next((result for result in self.results if result.name == model), None)
        if found is None:
            raise UnknownName("model of this benchmark", model, self.names)
        return found

    def values(self, model: str, metric: str, sigma: float | None = None) -> Float64[Tensor, " n"]:
        """A score of every image, nan where it is not defined or not finished; of `denoise_ratio` as `ratio_scores`.

        Raises:
            UnknownName: no such model, or a metric that has no scores of images (distances have none).
            BadInput: a noise level that the metric has not.
        """
        if (model, metric) not in self._made:
            self._made[model, metric] = self._by_sigma(self.result(model), metric)
        return self._at(metric, self._made[model, metric], model, sigma)

    def levels(self, model: str, metric: str) -> tuple[float, ...]:
        """The noise levels of a metric by sigma, decreasing; () where it has none."""
        if not METRICS[metric].by_sigma:
            return ()
        if metric == "denoise_steps":
            return tuple(SamplingConfig(self.plan.steps, True, self.plan.seed).sigmas())
        return self.plan.sigmas if metric == "denoise_ratio" else self.result(model).sigmas

    def summary(self, model: str, metric: str, sigma: float | None = None) -> Summary:
        """Mean, standard error and number of images of one cell of the table. Raises as `values`."""
        values = self.values(model, metric, sigma)
        return summarise(values[self._finished(model, metric)]) if len(values) else summarise(values)

    def curve(self, model: str, metric: str) -> list[tuple[float, Summary]]:
        """(sigma, summary) at every noise level of r2_trajectory, r2_own or denoise_ratio; [] for other metrics."""
        return [(sigma, self.summary(model, metric, sigma)) for sigma in self.levels(model, metric)]

    def difference(self, model: str, to: str, metric: str, sigma: float | None = None) -> Difference:
        """Paired difference of two models over the images both have. Raises as `values`."""
        ours, theirs = self.values(model, metric, sigma), self.values(to, metric, sigma)
        n = min(len(ours), len(theirs))
        return paired_difference(ours[:n], theirs[:n])

    def best(self, metric: str) -> str | None:
        """The analytic model with the best mean; None before there is one."""
        means = {r.name: self.summary(r.name, metric).mean for r in self.results if r.kind == ANALYTIC}
        known = {name: mean for name, mean in means.items() if math.isfinite(mean)}
        pick = max if METRICS[metric].better == HIGHER else min
        return pick(known, key=lambda name: known[name]) if known else None

    def measured(self, result: Result) -> list[str]:
        """The metrics of images that a model has scores of."""
        reported = [name for name in OF_IMAGES if result.of(METRICS[name].score).numel()]
        return [name for name in reported if not (result.kind == REFERENCE and METRICS[name].to_reference)]

    def _finished(self, model: str, metric: str) -> Bool[Tensor, " n"]:
        """Which images have the score, as far as the work has come."""
        cell = METRICS[metric].cell
        have = self.result(model).have[cell]
        return have & self.result(WIENER).have[cell] if metric in RATIOS else have

    def _by_sigma(self, result: Result, metric: str) -> Float64[Tensor, "..."]:
        if metric not in OF_IMAGES:
            raise UnknownName("metric of images", metric, OF_IMAGES)
        if metric == "memorised":
            nearest, second = result.of("nearest"), result.of("second")
            return is_copy(nearest, second).double().where(nearest.isfinite(), torch.nan)
        found = result.of(METRICS[metric].score)
        if metric in RATIOS:
            theirs = self.result(WIENER).of(METRICS[metric].score)
            return ratio_scores(found, theirs) if found.numel() and theirs.numel() else found[:0].flatten()
        if metric == "r2_middle" and found.numel():
            rows = [i for i, sigma in enumerate(result.sigmas) if MIDDLE[0] <= sigma <= MIDDLE[1]]
            return found[rows].mean(dim=0) if rows else torch.full_like(found[0], torch.nan)
        return found[-1] if metric == "r2_final" and found.numel() else found

    def _at(self, metric: str, scores: Float64[Tensor, "..."], model: str, sigma: float | None) -> Tensor:
        levels = self.levels(model, metric)
        if sigma is None:
            if metric == "r2_own":
                raise BadInput("r2_own is reported by noise level: give sigma, or take r2_final.")
            if metric == "denoise_steps":
                return self._summed(model)
            return _overall(metric, scores) if levels and scores.numel() else scores
        if sigma not in levels:
            known = ", ".join(f"{level:.3g}" for level in levels) or "none"
            raise BadInput(f"{metric} of {model} has no noise level {sigma:g}. It has: {known}.")
        return scores[levels.index(sigma)] if scores.numel() else scores

    def _summed(self, model: str) -> Float64[Tensor, " n"]:
        """Ratio of the errors summed over the sampling levels where methods differ, as scores of images."""
        rows = [i for i, sigma in enumerate(self.levels(model, "denoise_steps")) if MIDDLE[0] <= sigma <= MIDDLE[1]]
        ours, theirs = (self.result(name).of("errors_steps") for name in (model, WIENER))
        if not ours.numel() or not theirs.numel() or not rows:
            return torch.empty(0, dtype=torch.float64)
        return ratio_scores(ours[rows].sum(dim=0), theirs[rows].sum(dim=0))


def _overall(metric: str, scores: Float64[Tensor, "s n"]) -> Float64[Tensor, " n"]:
    """Scores of images over all noise levels: their mean; of ratios r_s, scores whose mean is the geometric mean.

        g mean_s (score_s / r_s),   g = (prod_s r_s)^(1/s)

    which keeps the delta method's standard error.
    """
    if metric != "denoise_ratio":
        return scores.mean(dim=0)
    ratios = scores.nanmean(dim=1, keepdim=True)
    return ratios.log().mean().exp() * (scores / ratios).mean(dim=0)
