"""The shipped leaderboards side by side: order by metric, numbers by noise level, what a lead closes; no computing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from benchmarks.tables import show
from locality.metrics import Difference, Summary, paired_difference, ratio_scores
from locality.studies import Bench
from locality.studies.benchmark import METRICS
from locality.studies.benchmark.competitors import ANALYTIC
from locality.studies.benchmark.metrics import HIGHER

ORDERED = ("r2_final", "r2_second", "r2_middle", "denoise_steps")
SHOWN = ("wiener", "gaussian_mixture:groups=clusters", "patch_mixture", "stack", "prism", "pca_locality")
BASE, BEST = "gaussian_mixture", "prism"  # what `closed` is about

Table = tuple[Sequence[str], list[Sequence[str]]]  # headings and rows


def ranks(bench: Bench, metric: str) -> dict[str, int]:
    """The place of every analytic model by its mean, 1 the best; without those that have none."""
    sign = -1.0 if METRICS[metric].better == HIGHER else 1.0
    names = [one.name for one in bench.results if one.kind == ANALYTIC]
    means = {name: sign * bench.summary(name, metric).mean for name in names}
    order = sorted((name for name in names if math.isfinite(means[name])), key=means.__getitem__)
    return {name: place for place, name in enumerate(order, 1)}


def order(benches: Sequence[Bench]) -> Table:
    """A row a model, a column a dataset: its places by the metrics of ORDERED. `@first=N` is the row of its model."""
    placed = [{metric: _by_model(ranks(bench, metric)) for metric in ORDERED} for bench in benches]
    finals = [found[ORDERED[0]] for found in placed]
    models = dict.fromkeys(model for final in finals for model in final)
    mean = {model: fmean(final[model] for final in finals if model in final) for model in models}
    rows = []
    for model in sorted(models, key=mean.__getitem__):
        cells = [" / ".join(str(found[metric].get(model, "–")) for metric in ORDERED) for found in placed]
        shown = [cell if model in final else "" for cell, final in zip(cells, finals, strict=True)]
        rows.append([f"`{model}`", *shown])
    return ["model", *(bench.dataset for bench in benches)], rows


def _by_model(places: dict[str, int]) -> dict[str, int]:
    return {name.partition("@")[0]: place for name, place in places.items()}


def by_level(bench: Bench, metric: str) -> Table:
    """A row a noise level, a column a model: means with their standard errors; the networks last."""
    others = [bench.second] if bench.second is not None else []
    others += [bench.reference] if metric == "denoise_steps" else []  # against itself the reference says nothing
    names = [name for name in SHOWN if name in bench.names] + others
    levels = bench.levels(SHOWN[0], metric)
    rows = [[f"{sigma:.3g}", *(_cell(bench.summary(name, metric, sigma)) for name in names)] for sigma in levels]
    return ["sigma", *names], rows


def _cell(found: Summary) -> str:
    return f"{found.mean:.3f} ± {found.stderr:.3f}" if found.stderr >= 5e-4 else f"{found.mean:.3f}"


def closed(bench: Bench, base: str = BASE) -> Difference | None:
    """The share of what `base` leaves to the second network that BEST closes, with its interval over noises."""
    if bench.second is None or base not in bench.names:
        return None
    ours, from_, to = (bench.values(name, "r2_final") for name in (BEST, base, bench.second))
    shares = ratio_scores(ours - from_, to - from_)
    return paired_difference(shares, 0.0 * shares)


def leads(bench: Bench, metric: str) -> str:
    """Every model and network minus the best model of R2 final, paired, 95 % intervals."""
    best = bench.best("r2_final")
    found = {
        one.name: bench.difference(one.name, str(best), metric)
        for one in bench.results
        if one.name != best and metric in bench.measured(one)
    }
    return ", ".join(f"{name} {interval(one)}" for name, one in found.items() if one.n > 1)


def interval(found: Difference, digits: int = 3) -> str:
    """A difference with its sign and its 95 % interval."""
    return f"{found.mean:+.{digits}f} [{found.low:+.{digits}f}, {found.high:+.{digits}f}]"


def run(benches: Sequence[Bench]) -> None:
    """Print the order, what is closed, then R2 and error by noise level."""
    titles = "; ".join(METRICS[metric].title for metric in ORDERED)
    print(f"### The order by metric\n\nPlaces of the analytic models of a table by: {titles}.\n")
    show(*order(benches))
    print(f"Of what `{BASE}` leaves to the second network `{BEST}` closes (R2 final, 95 % over noises):\n")
    for bench in benches:
        if (found := closed(bench)) is not None:
            print(f"- {bench.dataset}, {bench.second}: {found.mean:.2f} [{found.low:.2f}, {found.high:.2f}]")
    for metric, title in (("r2_trajectory", "R2 on-trajectory"), ("denoise_steps", "error / Wiener")):
        for bench in benches:
            print(f"\n### {title} by noise level, {bench.dataset}\n")
            show(*by_level(bench, metric))
