"""The shipped leaderboards side by side: order by metric, numbers by noise level, what a lead closes; no computing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from jaxtyping import Float64
from torch import Tensor

from benchmarks.tables import show
from locality.metrics import Difference, Summary, paired_difference, ratio_scores
from locality.studies import Bench, shipped_benches
from locality.studies.alike import TWIN
from locality.studies.benchmark import METRICS
from locality.studies.benchmark.competitors import ANALYTIC
from locality.studies.benchmark.metrics import HIGHER

ORDERED = ("r2_final", "r2_second", "r2_middle", "denoise_steps")
SHOWN = ("wiener", "gaussian_mixture:groups=clusters", "patch_mixture", "stack", "prism", "pca_locality")
BASE, BEST = "gaussian_mixture", "prism"  # what `closed` is about
BASIS = "wiener"  # whose lead over it `seeds` is about

Table = tuple[Sequence[str], list[Sequence[str]]]  # headings and rows


def shipped_boards() -> dict[str, Bench]:
    """The shipped table of all models, by dataset."""
    return {one.dataset: one for one in shipped_benches() if not one.plan.presets}


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
    """Without what a row has seen; of a model with two rows that of all images."""
    some = {name.partition("@")[0]: place for name, place in places.items() if "@" in name}
    return some | {name: place for name, place in places.items() if "@" not in name}


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


def seeds(benches: Sequence[Bench]) -> Table:
    """How much the lead of each model over BASIS changes from the reference to the same training from another seed.

    Of BASIS it is the change of its R2 final. Last, the standard deviation of a lead over seeds, from that one pair.
    """
    twins = [bench for bench in benches if bench.second == f"{bench.reference}{TWIN}"]
    models = dict.fromkeys(one.name for bench in twins for one in bench.results if one.kind == ANALYTIC)
    rows = []
    for model in sorted(models, key=lambda name: (name != BASIS, SHOWN.index(name) if name in SHOWN else len(SHOWN))):
        found = [seed_change(bench, model) if _beside(bench, model) else None for bench in twins]
        rows.append([f"`{model}`", *("" if one is None else interval(one) for one in found)])
    rows.append(["sd of a lead over seeds", *(f"{seed_sd(bench):.3f}" for bench in twins)])
    return [f"R2 final, over `{BASIS}`", *(bench.dataset for bench in twins)], rows


def _beside(bench: Bench, model: str) -> bool:
    """Whether a model is in a table, and measured beside the second network."""
    return model in bench.names and "r2_second" in bench.measured(bench.result(model))


def seed_change(bench: Bench, model: str) -> Difference:
    """R2 final of a model, less that of BASIS but for BASIS itself: against the second network minus the first."""
    first, second = (_lead(bench, model, metric) for metric in ("r2_final", "r2_second"))
    return paired_difference(second, first)


def _lead(bench: Bench, model: str, metric: str) -> Float64[Tensor, " n"]:
    ours = bench.values(model, metric)
    return ours if model == BASIS else ours - bench.values(BASIS, metric)


def seed_sd(bench: Bench) -> float:
    """Standard deviation of a lead over seeds: a change has twice that variance, and that of its own error.

    The mean over the models SHOWN; 0 where the errors explain the changes.
    """
    changes = [seed_change(bench, model) for model in SHOWN if _beside(bench, model) and model != BASIS]
    return math.sqrt(max(0.0, fmean(one.mean**2 - one.stderr**2 for one in changes) / 2.0))


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
    print("\n### What another seed of the training changes\n")
    show(*seeds(benches))
    for metric, title in (("r2_trajectory", "R2 on-trajectory"), ("denoise_steps", "error / Wiener")):
        for bench in benches:
            print(f"\n### {title} by noise level, {bench.dataset}\n")
            show(*by_level(bench, metric))
