"""The published table beside ours: the released code's protocol, and what still differs."""

from __future__ import annotations

from typing import Any

from locality.datasets import Source
from locality.published import GOLDDIFF_TABLE, figures_of
from locality.store.artifact import defined
from locality.studies.benchmark.plan import BenchPlan
from locality.studies.benchmark.presets import PAPER, released_models
from locality.studies.benchmark.result import Scored

ABOUT = (
    "the models of the published table with the settings of the released code, in its units: R2 final with the n - 1 "
    "variance of the code, 1 - (1 - R2) (d - 1) / d with d values an image, and MSE of images clamped and scaled to "
    "[0, 1]; `published` null where there is no figure for the dataset"
)


def published_table(bench: Scored) -> dict[str, Any] | None:
    """Our numbers beside the published ones, and what differs; None for a benchmark without the preset `paper`.

    Rows: `published_as`, `model`, `metric`, `ours`, `stderr`, `n`, `published`.
    """
    if PAPER not in bench.plan.presets:
        return None
    name = Source.parse(bench.dataset).spec.name
    figures = {(f.model, f.metric): f.value for f in figures_of(name) if f.source == GOLDDIFF_TABLE}
    models = {said: model for said, model in released_models(name, bench.shape).items() if model in bench.names}
    rows = []
    for said, model in models.items():
        for metric in ("r2_final", "mse01"):
            found, shrunk = bench.summary(model, metric), (bench.shape.d - 1) / bench.shape.d
            r2 = metric == "r2_final"
            ours = 1.0 - (1.0 - found.mean) * shrunk if r2 else found.mean
            row = {"published_as": said, "model": model, "metric": metric, "ours": ours}
            row |= {"stderr": found.stderr * (shrunk if r2 else 1.0), "n": found.n}
            rows.append(defined(row | {"published": figures.get((said, metric))}))
    return {"about": ABOUT, "source": GOLDDIFF_TABLE, "rows": rows, "differs": _differences(bench, models)}


def _differences(bench: Scored, models: dict[str, str]) -> list[str]:
    """What is not as it was published, a sentence each."""
    plan, usual = bench.plan, BenchPlan()
    said = [
        f"The network is {bench.reference}, not the authors' checkpoint; a checkpoint of theirs is taken by its path, "
        "--reference FILE.pt.",
        "The noise is our own: they do not publish theirs.",
    ]
    if plan.count != 128:
        said.append(f"{plan.count} samples, theirs are 128.")
    if plan.steps != usual.steps:
        said.append(f"{plan.steps} steps, theirs are {usual.steps}.")
    for model in models.values():
        said += [f"{model}: {note}." for note in bench.result(model).notes if not note.startswith("softmax")]
    return said
