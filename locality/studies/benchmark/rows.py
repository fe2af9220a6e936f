"""A benchmark as plain rows and JSON: null where a number is not defined."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import torch

from locality.metrics import Summary
from locality.store.artifact import defined
from locality.studies.benchmark.about import ABOUT
from locality.studies.benchmark.competitors import CONTROL, REFERENCE, WIENER
from locality.studies.benchmark.metrics import COMPARED
from locality.studies.benchmark.paper import published_table
from locality.studies.benchmark.presets import PAPER
from locality.studies.benchmark.result import Result, Scored

KIND = "locality-bench"  # what a file says it holds
FORMAT = 1
Row = dict[str, Any]


@dataclass(frozen=True, eq=False, repr=False)
class Bench(Scored):
    """A benchmark, whole or so far: rows, curves, differences, and all of it as JSON."""

    def rows(self) -> list[Row]:
        """Every number of the table: `model`, `kind`, `metric`, `sigma`, `mean`, `stderr`, `n`, `undefined`,
        `seconds_per_step`, `peak_bytes`; of distances also `features`, `feature_dimension` and `real`."""
        return [row for result in self.results for row in (*_of_images(self, result), *_of_distances(self, result))]

    def differences(self) -> list[Row]:
        """Every model against the best analytic one (`role` best) and against Wiener: overall, and by noise level."""
        found: list[Row] = []
        for metric in COMPARED:
            best = self.best(metric)
            roles = {"best": best} if best == WIENER else {"best": best, WIENER: WIENER}
            for role, to in roles.items():
                models = [r.name for r in self.results if r.kind not in (REFERENCE, CONTROL) and r.name != to]
                for model in models if to is not None else ():
                    found += _pair(self, model, str(to), metric, {"role": role})
        return found

    def ablations(self) -> list[Row]:
        """Every entry of a preset against its baseline: how much the setting moves R2, and the error where it can."""
        found: list[Row] = []
        for group in self.groups:
            for variant in group.variants if group.preset != PAPER else ():
                for metric in COMPARED:
                    if metric == "denoise_ratio" and self._same_errors(variant, group.baseline):
                        continue  # steps and clipping are nothing to a single denoising call
                    found += _pair(self, variant, group.baseline, metric, {"preset": group.preset}, levels=False)
        return found

    def _same_errors(self, a: str, b: str) -> bool:
        ours, theirs = self.result(a).of("errors"), self.result(b).of("errors")
        return bool(torch.equal(ours.nan_to_num(-1.0), theirs.nan_to_num(-1.0)))

    def to_json(self) -> dict[str, Any]:
        """Everything but the images and their scores, in plain values."""
        plan = {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self.plan).items()}
        return {
            "kind": KIND,
            "format": FORMAT,
            "dataset": self.dataset,
            "reference": self.reference,
            "ceiling": self.second,
            "train_images": self.train_images,
            "n": self.plan.count,
            "plan": plan,
            "models": [_model(self, result) for result in self.results],
            "rows": self.rows(),
            "differences": self.differences(),
            "ablations": self.ablations(),
            "published": published_table(self),
            "notes": list(self.notes),
            "missing": list(self.missing),
            "about": ABOUT,
            **self.facts,
        }


def _model(bench: Scored, result: Result) -> dict[str, Any]:
    unfinished = sum(cell["model"] == result.name for cell in bench.missing)
    return {
        "name": result.name,
        "kind": result.kind,
        "notes": list(result.notes),
        **result.facts,
        "sigmas": list(result.sigmas),
        "missing_cells": unfinished,
    }


def _of_images(bench: Scored, result: Result) -> Iterable[Row]:
    for metric in bench.measured(result):
        if metric != "r2_own":
            yield _row(result, metric, None, bench.summary(result.name, metric))
        for sigma, summary in bench.curve(result.name, metric):
            yield _row(result, metric, sigma, summary)


def _of_distances(bench: Scored, result: Result) -> Iterable[Row]:
    for found in bench.distances:
        if found["model"] == result.name:
            stderr = math.nan if found["stderr"] is None else found["stderr"]
            row = _row(result, found["metric"], None, Summary(found["mean"], stderr, found["n"]))
            yield {**row, **{name: found[name] for name in ("features", "feature_dimension", "real")}}


def _row(result: Result, metric: str, sigma: float | None, summary: Summary) -> dict[str, Any]:
    return {
        "model": result.name,
        "kind": result.kind,
        "metric": metric,
        "sigma": sigma,
        "mean": defined(summary.mean),
        "stderr": defined(summary.stderr),
        "n": summary.n,
        "undefined": summary.undefined,
        "seconds_per_step": result.facts.get("seconds_per_step"),
        "peak_bytes": result.facts.get("peak_bytes"),
    }


def _pair(bench: Scored, model: str, to: str, metric: str, about: dict[str, Any], levels: bool = True) -> Iterable[Row]:
    """The difference of two models in a metric, and at each noise level both have."""
    shared = [s for s in bench.levels(model, metric) if s in bench.levels(to, metric)] if levels else []
    for sigma in (None, *shared):
        found = bench.difference(model, to, metric, sigma)
        if found.n:
            yield {"model": model, "to": to, **about, "metric": metric, "sigma": sigma} | defined(asdict(found))
