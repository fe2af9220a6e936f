"""The command bench: which analytic model explains a trained network best?"""

from __future__ import annotations

import dataclasses
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from locality.cli.parts.app import FirstOpt, JsonOpt, SeedOpt, app, duration, say, table, watch
from locality.cli.sampling import DeviceOpt, MemoryOpt
from locality.errors import BadInput

if TYPE_CHECKING:
    from locality.studies import Bench, BenchPlan

_TYPED = {"count": "-n", "real": "--real", "sigmas": "--sigmas"}  # options of the plan as they are typed


@app.command()
def bench(
    dataset: Annotated[
        str | None, typer.Argument(metavar="DATASET", help="A name from `datasets`, with options and edits.")
    ] = None,
    reference: Annotated[
        str, typer.Option(metavar="NETWORK", help="The trained network to explain: a name from `networks` or a path.")
    ] = "unet",
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            metavar="NAME",
            help="A model, as of `sample`; again for more. After it @first=N (training images), @steps=K or "
            "@clip=false for this one alone. wiener always takes part.",
        ),
    ] = None,
    preset: Annotated[
        list[str] | None, typer.Option("--preset", metavar="NAME", help="Add the models of an ablation; see --presets.")
    ] = None,
    ceiling: Annotated[
        str, typer.Option(metavar="NETWORK", help="A second network, for scale: its name, auto or none.")
    ] = "auto",
    n: Annotated[int, typer.Option("-n", metavar="N", help="Images every model draws, 1 to 4096.")] = 128,
    steps: Annotated[int, typer.Option(metavar="K", help="Noise levels on the way, 2 to 1000.")] = 10,
    seed: SeedOpt = 0,
    first: FirstOpt = None,
    sigmas: Annotated[
        str | None, typer.Option(metavar="S,S,...", help="Noise levels of held-out images; by default 0.1 to 5.")
    ] = None,
    features: Annotated[
        str, typer.Option(metavar="A+B", help="What samples are compared by: classifier, pixels, inception; or none.")
    ] = "classifier+pixels",
    real: Annotated[int, typer.Option(metavar="N", help="Training images that samples are compared with.")] = 10_000,
    inception: Annotated[
        Path | None, typer.Option(metavar="FILE", help="inception-2015-12-05.pt, for the features inception.")
    ] = None,
    classifier: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A classifier instead of the dataset's own.")
    ] = None,
    presets: Annotated[bool, typer.Option("--presets", help="List the ablations, and do nothing else.")] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also write rows.json, tables and report.html to this folder.")
    ] = None,
    ship: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also write it to this folder of shipped files.")
    ] = None,
    device: DeviceOpt = "auto",
    memory: MemoryOpt = 512,
    as_json: JsonOpt = False,
) -> None:
    """Measure how well models explain a trained network: same noise, same images, an error on every number.

    Every finished cell (a model, 16 images) is kept: after Ctrl-C, a kill or with more images, models or metrics the
    same command makes only what is missing. Every number of --json is explained there.
    """
    from locality import studies
    from locality.datasets import Source
    from locality.device import Compute, usable_device
    from locality.studies.benchmark import check_folder, write_folder

    if presets:
        return _list_presets(as_json)
    if dataset is None:
        raise BadInput("Name a dataset, for example python -m locality bench mnist; --presets lists the ablations.")
    if memory < 1:
        raise BadInput(f"--memory {memory}: give at least 1 (MB).")
    some: dict[str, Any] = {} if sigmas is None else {"sigmas": _numbers(sigmas)}
    lists = {"models": tuple(model or ()), "presets": tuple(preset or ())}
    named = {"reference": reference, "ceiling": ceiling, "features": features}
    plan = _plan(count=n, steps=steps, seed=seed, real=real, **named, **lists, **some)
    source = Source.parse(dataset, first)
    if out is not None:
        check_folder(out, source, plan)
    compute, began = Compute(usable_device(device), memory=memory * 1024**2), time.perf_counter()
    work = studies.bench(source, plan, compute=compute, inception=inception, classifier=classifier)
    try:
        made = watch(work)
    except KeyboardInterrupt:
        raise BadInput("Stopped. Every finished cell is kept: run the same command to go on.") from None
    made = dataclasses.replace(made, facts={**made.facts, "command": shlex.join(_command())})
    for note in made.notes:
        typer.echo(f"Note: {note}", err=True)
    written = [] if out is None else write_folder(out, made)
    shipped = None if ship is None else studies.ship_bench(source, made, ship)
    result = {
        **made.to_json(),
        "seconds": time.perf_counter() - began,
        "out": None if out is None else str(out),
        "shipped": None if shipped is None else str(shipped),
    }
    files = [f"{path}: {path.stat().st_size / 1e3:.1f} kB" for path in (*written, *([shipped] if shipped else []))]
    say(result, as_json, "\n\n".join([*_text(made), "\n".join([*files, duration(result["seconds"])])]))


def _command() -> list[str]:
    return ["python", "-m", "locality", *(word for word in sys.argv[1:] if word != "--json")]


def _plan(**options: Any) -> BenchPlan:
    """The checked options; messages name them as they are typed."""
    from locality.studies import BenchPlan

    try:
        return BenchPlan(**options)
    except BadInput as error:
        text = str(error)
        for name, typed in _TYPED.items():
            text = text.replace(f"BenchPlan:{name}", typed)
        raise BadInput(text.replace("BenchPlan:", "--")) from None


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise BadInput(f"--sigmas {text!r} is not a list of numbers. Write for example --sigmas 0.1,1,5.") from None


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
    for name, found in (("difference", made.differences()), ("moved by", made.ablations())):
        shown = [_difference(row) for row in found if row["sigma"] is None and row.get("role") != "wiener"]
        if shown:
            columns = {"model": "model", "to": "minus", "metric": "metric", "mean": name, "between": "95 % interval"}
            blocks.append(table(shown, columns))
    return blocks


def _difference(row: dict[str, Any]) -> dict[str, Any]:
    between = "one image: none" if row["low"] is None else f"{row['low']:+.4f} to {row['high']:+.4f}"
    return {**row, "mean": f"{row['mean']:+.4f}", "between": between}
