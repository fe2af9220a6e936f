"""The shipped studies as tables: agreement, planted patterns, leaderboards, ablations, costs; nothing is measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks import agreed, boards
from benchmarks.tables import pm, show
from locality.datasets import Source
from locality.edits import parse_edit
from locality.studies import Bench, Sweep, shipped_benches, shipped_costs, shipped_sweeps
from locality.studies.benchmark import METRICS, markdown, published_table

NAMES = ("mnist", "fashion_mnist", "cifar10")


def run() -> None:
    """Print a section for every shipped study, each with its command."""
    agreed.run()
    for name in NAMES:
        for made in shipped_sweeps(Source.parse(name), parse_edit("pattern:W")):
            _planted(made)
    made = list(boards.shipped_boards().values())
    for bench in made:
        board(bench)
    boards.run(made)
    for bench in shipped_benches():
        _published(bench)
    rows = [(one, row) for one in shipped_benches() for row in one.ablations()]
    if rows:
        _ablations(rows)
    for name in NAMES:
        found = shipped_costs(name)
        if found is not None:
            print(f"### Costs of a step, {name}\n\n{' '.join(found.notes)}\n")
            show(
                ("model", "quantity", "against", "exponent", "points"),
                (
                    (e["model"], e["quantity"], e["axis"], pm(e["exponent"], e["stderr"]), e["n"])
                    for e in found.exponents()
                ),
            )


def _planted(made: Sweep) -> None:
    print(f"### {made.dataset}, `{made.edit}`\n")
    pixels, plan = len(made.pixels), made.plan
    print(
        f"Fields at sigma {plan.sigma:g} of {pixels} pixels along the pattern, which covers {made.chance:.3f} of the "
        f"image; networks: {plan.draws} draws.\n"
    )
    facts = {fact["folder"]: fact for fact in made.networks}
    heads = ("model", "strength", "mass on pattern", "non-locality", "images seen", "error / Wiener at sigma 0.5, 2")
    body = []
    for row in made.rows:
        fact = facts.get(row["network"])
        ratio = fact["error_ratio"] if fact else {}
        body.append(
            (
                row["model"],
                f"{row['strength']:g}",
                pm(row["mass_on_pattern"], row["mass_on_pattern_stderr"]),
                pm(row["non_locality"], row["non_locality_stderr"]),
                f"{fact['images_seen']:,}" if fact else "",
                ", ".join(f"{ratio[sigma]:.2f}" for sigma in ("0.5", "2")) if ratio else "",
            )
        )
    show(heads, body)
    lines = [fit for fit in made.fits() if fit["quantity"] in ("mass_on_pattern", "non_locality")]
    for fit in lines:
        interval = f"{fit['slope']:.3f} [{fit['slope_low']:.3f}, {fit['slope_high']:.3f}]"
        about = f"{fit['model']}, {fit['quantity']} against the {fit['against']}"
        print(f"- {about}: slope {interval}, R^2 {fit['r2']:.2f}, {fit['n']} points")
    print()


def board(bench: Bench) -> None:
    """A leaderboard with its command, and every model against the best one."""
    print(f"### Leaderboard, {bench.dataset} against {bench.reference}\n\n    {bench.facts.get('command', '')}\n")
    print(markdown(bench))
    for metric in ("r2_final", "r2_second"):
        if found := boards.leads(bench, metric):
            title = METRICS[metric].title
            print(f"{title}, minus that of {bench.best('r2_final')}, paired, 95 % intervals: {found}.\n")
    for note in bench.notes:
        print(f"- {note}")
    print()


def _published(bench: Bench) -> None:
    """The published table beside ours, where its protocol was run."""
    found = published_table(bench)
    if found is None:
        return
    print(
        f"### The published table, {bench.dataset} against {bench.reference}\n\n    {bench.facts.get('command', '')}\n"
    )
    heads = ("model, as published", "ours", "metric", "published", "here")
    show(
        heads,
        (
            (
                row["published_as"],
                f"`{row['model']}`",
                METRICS[row["metric"]].title,
                pm(row["published"], None),
                pm(row["ours"], row["stderr"]),
            )
            for row in found["rows"]
        ),
    )
    print("".join(f"- {line}\n" for line in (*found["differs"], *bench.notes)))


def _ablations(rows: Sequence[tuple[Bench, dict[str, Any]]]) -> None:
    print("### What moves R2\n\nDifference from the baseline, same noise, with 95 % intervals.\n")
    pairs = dict.fromkeys((row["preset"], row["model"], row["to"]) for _, row in rows)
    body = []
    for preset, model, to in pairs:
        same = {
            row["metric"]: row for _, row in rows if (row["preset"], row["model"], row["to"]) == (preset, model, to)
        }
        body.append((preset, model, to, *(_interval(same.get(name)) for name in ("r2_final", "r2_trajectory"))))
    show(("preset", "setting", "baseline", "R2 final", "R2 on-trajectory"), body)


def _interval(row: dict[str, Any] | None) -> str:
    if row is None or not row["n"]:
        return ""
    return f"{row['mean']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]" if row["n"] > 1 else f"{row['mean']:+.3f}"
