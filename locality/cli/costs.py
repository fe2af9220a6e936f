"""The command costs: how time and memory of a step grow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from locality.cli.parts.app import DatasetArg, FirstOpt, JsonOpt, ShipOpt, app, command_line, say, table, watch
from locality.cli.parts.machine import ClusterOpt, DevicesOpt, MemoryOpt, cluster_facts, compute_on
from locality.cli.parts.plans import PlanOpt, planned

if TYPE_CHECKING:
    from locality.studies import Costs


@app.command(cls=planned("locality.studies", "CostPlan", typed={"base_images": "--base"}))
def costs(
    dataset: DatasetArg,
    model: Annotated[
        list[str], typer.Option("--model", metavar="NAME", help="An analytic model, as for `sample`; repeat for more.")
    ],
    plan: PlanOpt = None,
    first: FirstOpt = None,
    ship: ShipOpt = None,
    device: DevicesOpt = "auto",
    memory: MemoryOpt = 512,
    cluster: ClusterOpt = "",
    as_json: JsonOpt = False,
) -> None:
    """Measure seconds and memory of one denoising step against N, d and the batch; exponents with standard errors.

    Along each axis the other two stay at their base (1,000 images, full resolution, batch 4). Take more points, or
    larger ones, for exponents you rely on: at small sizes constant costs dominate.
    """
    from locality import studies
    from locality.datasets import Source

    compute, source = compute_on(device, memory, cluster), Source.parse(dataset, first)
    made = watch(studies.measure_costs(source, model, plan, compute=compute))
    if ship is not None:
        typer.echo(f"{studies.ship_costs(source, made, command_line(), ship)}", err=True)
    for note in made.notes:
        typer.echo(f"Note: {note}", err=True)
    say({**made.to_json(), **cluster_facts(compute)}, as_json, _text(made))


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
