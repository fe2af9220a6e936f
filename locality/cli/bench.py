"""The command bench: which analytic model explains a trained network best?"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from locality.cli.parts.app import (
    FirstOpt,
    JsonOpt,
    ShipOpt,
    app,
    command_line,
    duration,
    file_text,
    say,
    table,
    watch,
)
from locality.cli.parts.machine import (
    ClusterOpt,
    DevicesOpt,
    MemoryOpt,
    cluster_facts,
    compute_on,
    elsewhere,
    tell_expected,
)
from locality.cli.parts.plans import PlanOpt, planned
from locality.errors import BadInput

if TYPE_CHECKING:
    from locality.studies import Bench


@app.command(
    cls=planned(
        "locality.studies",
        "BenchPlan",
        typed={"count": "-n", "models": "--model", "presets": "--preset", "ceiling": "--second --ceiling"},
        usual={"models": ()},
    )
)
def bench(
    dataset: Annotated[
        str | None, typer.Argument(metavar="DATASET", help="A name from `datasets`, with options and edits.")
    ] = None,
    plan: PlanOpt = None,
    first: FirstOpt = None,
    inception: Annotated[
        Path | None, typer.Option(metavar="FILE", help="inception-2015-12-05.pt, for the features inception.")
    ] = None,
    classifier: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A classifier instead of the dataset's own.")
    ] = None,
    presets: Annotated[bool, typer.Option("--presets", help="List the ablations and exit.")] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also write rows.json, tables and report.html to this folder.")
    ] = None,
    ship: ShipOpt = None,
    device: DevicesOpt = "auto",
    memory: MemoryOpt = 512,
    cluster: ClusterOpt = "",
    as_json: JsonOpt = False,
) -> None:
    """Measure how well models explain a trained network: same noise, same images, an error on every number.

    Every finished cell (a model, 16 images) is kept: after Ctrl-C, a kill or with more images, models or metrics the
    same command computes only what is missing. --json explains every number.
    """
    from locality import studies
    from locality.datasets import Source
    from locality.studies.benchmark import check_folder, write_folder

    if presets:
        return _list_presets(as_json)
    if dataset is None:
        raise BadInput("Name a dataset, for example python -m locality bench mnist; --presets lists the ablations.")
    compute, source = compute_on(device, memory, cluster), Source.parse(dataset, first)
    if out is not None:
        check_folder(out, source, plan)
    expected = {} if elsewhere(compute) else watch(studies.expected_bench(source, plan, compute=compute))
    tell_expected(expected)
    began = time.perf_counter()
    work = studies.bench(source, plan, compute=compute, inception=inception, classifier=classifier)
    try:
        made = watch(work)
    except KeyboardInterrupt:
        raise BadInput("Stopped. Every finished cell is kept: run the same command to go on.") from None
    made = dataclasses.replace(made, facts={**made.facts, "command": command_line("--json")})
    for note in made.notes:
        typer.echo(f"Note: {note}", err=True)
    written = [] if out is None else write_folder(out, made)
    shipped = None if ship is None else studies.ship_bench(source, made, ship)
    result = {
        **made.to_json(),
        "seconds": time.perf_counter() - began,
        "expected_seconds": {name: one.seconds for name, one in expected.items()},
        "out": None if out is None else str(out),
        "shipped": None if shipped is None else str(shipped),
        **cluster_facts(compute),
    }
    files = [file_text(path) for path in (*written, *([shipped] if shipped else []))]
    say(result, as_json, "\n\n".join([*_text(made), "\n".join([*files, duration(result["seconds"])])]))


def _list_presets(as_json: bool) -> None:
    from locality.studies import PRESETS

    rows: list[dict[str, Any]] = []
    lines = []
    for preset in PRESETS.values():
        rows.append({"name": preset.name, "help": preset.help, "groups": [list(group) for group in preset.groups]})
        lines.append(f"{preset.name}: {preset.help}")
        lines += [f"  {group[0]} against {', '.join(group[1:])}" for group in preset.groups]
    say(rows, as_json, "\n".join(lines))


def _text(made: Bench) -> list[str]:
    """The leaderboard, and every model against the best one."""
    from locality.studies.benchmark import leaderboard, text_rows

    headings, rows = text_rows(leaderboard(made))
    board = [dict(zip(headings, row, strict=True)) for row in rows]
    title = f"{made.dataset}: {made.plan.count} images, {made.plan.steps} steps, against {made.reference}"
    blocks = [f"{title}\n{table(board, {heading: heading for heading in headings})}"]
    notes = [f"{result.name}: {'; '.join(result.notes)}" for result in made.results if result.notes]
    blocks += ["\n".join(notes)] if notes else []
    if (paper := made.to_json()["published"]) is not None:
        blocks += _published(paper)
    for name, found in (("difference", made.differences()), ("moved by", made.ablations())):
        shown = [_difference(row) for row in found if row["sigma"] is None and row.get("role") != "wiener"]
        if shown:
            columns = {"model": "model", "to": "minus", "metric": "metric", "mean": name, "between": "95 % interval"}
            blocks.append(table(shown, columns))
    return blocks


def _published(paper: dict[str, Any]) -> list[str]:
    """Our numbers beside the published ones, and what differs."""
    rows = [
        {
            **row,
            "ours": "-" if row["ours"] is None else f"{row['ours']:.3f}",
            "error": "" if row["stderr"] is None else f"{row['stderr']:.3f}",
            "theirs": "none" if row["published"] is None else f"{row['published']:.3f}",
        }
        for row in paper["rows"]
    ]
    heads = {"published_as": "published as", "model": "model here", "metric": "metric", "ours": "ours"}
    heads |= {"error": "± standard error", "theirs": "published"}
    sources = f"Published: {paper['source']}."
    return [table(rows, heads), "\n".join([sources, "What differs:", *(f"  {line}" for line in paper["differs"])])]


def _difference(row: dict[str, Any]) -> dict[str, Any]:
    between = "one image: none" if row["low"] is None else f"{row['low']:+.4f} to {row['high']:+.4f}"
    return {**row, "mean": f"{row['mean']:+.4f}", "between": between}
