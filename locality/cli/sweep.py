"""The command sweep: fields against the strength of an edit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from locality.cli.parts.app import (
    DatasetArg,
    FirstOpt,
    JsonOpt,
    ShipOpt,
    app,
    command_line,
    parse_pixel,
    say,
    table,
    watch,
)
from locality.cli.parts.machine import ClusterOpt, DevicesOpt, cluster_facts, compute_on
from locality.cli.parts.models import option_lines
from locality.cli.parts.plans import PlanOpt, planned
from locality.grammar import read_list

if TYPE_CHECKING:
    from locality.studies import Sweep


@app.command(cls=planned("locality.studies", "SweepPlan"))
def sweep(
    dataset: DatasetArg,
    edit: Annotated[
        str, typer.Option("--edit", metavar="EDIT", help="An edit from `edits`: pattern:W, tie:ring, blur, ...")
    ] = "pattern:W",
    pixel: Annotated[
        str | None,
        typer.Option("--pixel", metavar="ROW,COL", help="Pixel of the field; by default the mean over --pixels."),
    ] = None,
    plan: PlanOpt = None,
    networks: Annotated[
        str | None,
        typer.Option(metavar="A,B,...", help="Networks trained on edited images; by default all there are."),
    ] = None,
    first: FirstOpt = None,
    ship: ShipOpt = None,
    device: DevicesOpt = "auto",
    cluster: ClusterOpt = "",
    as_json: JsonOpt = False,
) -> None:
    """Share of the fields' mass on a pattern, and beyond 4 pixels, against the strength of the edit.

    Predicted for every strength, learned where a network is trained on the edited images:
    python -m locality train "DATASET+EDIT" --network unet ... Lines through both, with R^2 and standard errors.
    """
    from locality import studies
    from locality.datasets import Source
    from locality.edits import parse_edit

    source, spec = Source.parse(dataset, first), parse_edit(edit)
    names = None if networks is None else [name for name in read_list(networks) if name]
    spot = None if pixel is None else parse_pixel(pixel)
    compute = compute_on(device, cluster=cluster)
    made = watch(studies.run_sweep(source, spec, pixel=spot, networks=names, plan=plan, compute=compute))
    shipped = None if ship is None else studies.ship_sweep(source, made, command_line(), ship)
    result = {**made.to_json(), "shipped": None if shipped is None else str(shipped), **cluster_facts(compute)}
    say(result, as_json, _text(made) + ("" if shipped is None else f"\n\n{shipped}"))


@app.command()
def edits(as_json: JsonOpt = False) -> None:
    """List the edits of a dataset's statistics: what each does, its options. Use them as DATASET+EDIT:OPTIONS."""
    from locality.studies import edit_list

    rows = edit_list()
    blocks = [table(rows, {"name": "name", "closed": "statistics", "about": "what it does"})]
    say(rows, as_json, "\n\n".join([*blocks, *(option_lines(row["name"], row["options"]) for row in rows)]))


def _text(made: Sweep) -> str:
    """Tables of rows and lines for people."""
    about = f"{made.dataset} + {made.edit}: fields at sigma {made.plan.sigma:g}, {len(made.pixels)} pixels"
    if math.isfinite(made.chance):
        about += f"; the pattern covers {made.chance:.1%} of the image, "
        about += f"{made.chance_without_own:.1%} excluding the pixel itself"
    rows = [
        {
            "model": row["model"],
            "strength": f"{row['strength']:g}",
            **{
                name: _with_error(row[name], row[f"{name}_stderr"])
                for name in ("mass_on_pattern", "mass_without_own", "non_locality")
            },
        }
        for row in made.rows
    ]
    headings = {
        "model": "model",
        "strength": "strength",
        "mass_on_pattern": "on the pattern",
        "mass_without_own": "excluding the pixel itself",
        "non_locality": "beyond 4 px",
    }
    lines = [
        {
            **fit,
            "slope": f"{fit['slope']:.3f} [{fit['slope_low']:.3f}, {fit['slope_high']:.3f}]",
            "r2": "-" if math.isnan(fit["r2"]) else f"{fit['r2']:.3f}",
        }
        for fit in made.fits()
    ]
    named = {"model": "model", "quantity": "line of", "against": "against", "slope": "slope [95 % interval]"}
    named |= {"r2": "R^2", "n": "n"}
    parts = [about, table(rows, headings)]
    parts += [table(lines, named)] if lines else []
    bent = [f"{curve['model']}, {curve['quantity']} against the {curve['against']}" for curve in made.bent()]
    parts += [f"No line, the curve is bent: {'; '.join(bent)}."] if bent else []
    parts += [] if lines or bent else ["Fewer than four strengths: no line."]
    return "\n\n".join([*parts, *made.notes])


def _with_error(value: float, error: float) -> str:
    if value is None or math.isnan(value):
        return "-"
    return f"{value:.3f}" if math.isnan(error) else f"{value:.3f} ± {error:.3f}"
