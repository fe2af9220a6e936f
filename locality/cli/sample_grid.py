"""The command sample-grid: what the Samples page opens on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from locality.cli.parts.app import DatasetArg, JsonOpt, ShipOpt, app, file_text, say, table, watch
from locality.cli.parts.plans import PlanOpt, planned

if TYPE_CHECKING:
    from locality.studies import Sampling


@app.command(name="sample-grid", cls=planned("locality.studies", "Sampling", typed={"count": "-n"}))
def sample_grid(
    dataset: DatasetArg,
    model: Annotated[list[str], typer.Option("--model", metavar="NAME", help="As for `sample`; repeat for more rows.")],
    plan: PlanOpt = None,
    ship: ShipOpt = None,
    as_json: JsonOpt = False,
) -> None:
    """Images of several models from the same noise, and the training image nearest to each, as a small file."""
    from locality import studies
    from locality.datasets import Source

    sampling: Sampling = plan
    source = Source.parse(dataset)
    made = watch(studies.make_grid(source, list(dict.fromkeys(model)), sampling))
    written = None if ship is None else studies.ship_grid(source, made, ship)
    rows: list[dict[str, Any]] = [
        {"model": text, "seconds": drawn.seconds, "nearest": made.nearest[text][0].tolist()}
        for text, drawn in made.drawn.items()
    ]
    shown = [{**row, "seconds": f"{row['seconds']:.2f}", "nearest": " ".join(map(str, row["nearest"]))} for row in rows]
    text = table(shown, {"model": "model", "seconds": "seconds", "nearest": "nearest training images"})
    lines = [text, *([file_text(written)] if written else [])]
    say({"dataset": source.text, "models": rows}, as_json, "\n".join(lines))
