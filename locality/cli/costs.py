"""The command costs: how time and memory of a step grow."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from locality.cli.parts.app import DatasetArg, FirstOpt, JsonOpt, SeedOpt, app, say, table, watch
from locality.cli.sampling import DeviceOpt, MemoryOpt
from locality.errors import BadInput

if TYPE_CHECKING:
    from locality.studies import CostPlan, Costs


@app.command()
def costs(
    dataset: DatasetArg,
    model: Annotated[
        list[str], typer.Option("--model", metavar="NAME", help="An analytic model, as of `sample`; again for more.")
    ],
    images: Annotated[str, typer.Option(metavar="N,N,...", help="Numbers of training images.")] = "250,500,1000,2000",
    pools: Annotated[
        str, typer.Option(metavar="P,P,...", help="Resolutions: squares of P x P pixels averaged.")
    ] = "1,2,4",
    batches: Annotated[str, typer.Option(metavar="B,B,...", help="Noisy images at once.")] = "1,2,4,8",
    base: Annotated[int, typer.Option(metavar="N", help="Training images where they are not varied.")] = 1000,
    threads: Annotated[int, typer.Option(metavar="T", help="Processor threads of a measurement.")] = 1,
    repeats: Annotated[int, typer.Option(metavar="K", help="Measurements of each point; the least counts.")] = 2,
    seed: SeedOpt = 0,
    first: FirstOpt = None,
    ship: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also write it to this folder of shipped files.")
    ] = None,
    device: DeviceOpt = "auto",
    memory: MemoryOpt = 512,
    as_json: JsonOpt = False,
) -> None:
    """Measure seconds and memory of one denoising step against N, d and the batch; exponents with standard errors.

    Along each axis the other two stay at their base (1,000 images, whole resolution, batch 4). Take more points, or
    larger ones, for exponents you rely on: small ones are ruled by what does not grow.
    """
    from locality import studies
    from locality.datasets import Source
    from locality.device import Compute, usable_device

    lists = {"images": images, "pools": pools, "batches": batches}
    points = {name: _whole(name, text) for name, text in lists.items()}
    plan = _plan(base_images=base, repeats=repeats, threads=threads, seed=seed, **points)
    compute = Compute(usable_device(device), memory=memory * 1024**2)
    source = Source.parse(dataset, first)
    made = watch(studies.measure_costs(source, model, plan, compute=compute))
    if ship is not None:
        command = shlex.join(["python", "-m", "locality", *sys.argv[1:]])
        typer.echo(f"{studies.ship_costs(source, made, command, ship)}", err=True)
    for note in made.notes:
        typer.echo(f"Note: {note}", err=True)
    say(made.to_json(), as_json, _text(made))


def _plan(**options: Any) -> CostPlan:
    from locality.studies import CostPlan

    try:
        return CostPlan(**options)
    except BadInput as error:
        raise BadInput(str(error).replace("CostPlan:base_images", "--base").replace("CostPlan:", "--")) from None


def _whole(option: str, text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise BadInput(f"--{option} {text!r} is not a list of whole numbers. Write for example 1,2,4.") from None


def _text(made: Costs) -> str:
    points = [
        {
            **point,
            "seconds": f"{point['seconds']:.4f}",
            "MB": "" if point["bytes"] is None else f"{point['bytes'] / 1e6:.1f}",
        }
        for point in made.points
    ]
    exponents = [{**row, "exponent": _exponent(row)} for row in made.exponents()]
    names = ("model", "axis", "N", "d", "batch", "seconds", "MB")
    first = table(points, {name: name for name in names})
    return f"{first}\n\n{table(exponents, {name: name for name in ('model', 'quantity', 'axis', 'exponent', 'n')})}"


def _exponent(row: dict[str, Any]) -> str:
    if row["exponent"] is None:
        return ""
    return f"{row['exponent']:.2f}" if row["stderr"] is None else f"{row['exponent']:.2f} ± {row['stderr']:.2f}"
