"""The command recording: a training's moments as a small file that pages play."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from locality.cli.parts.app import DatasetArg, JsonOpt, ShipOpt, app, file_text, say, table, watch
from locality.cli.parts.plans import PlanOpt, planned

if TYPE_CHECKING:
    from locality.studies import Recording


@app.command(cls=planned("locality.studies", "RecordingPlan"))
def recording(
    dataset: DatasetArg,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Of a training with --moments; it may still run.")],
    plan: PlanOpt = None,
    ship: ShipOpt = None,
    as_json: JsonOpt = False,
) -> None:
    """Fields, held-out errors and samples of a training at the moments it kept, after those before any training."""
    from locality import studies
    from locality.datasets import Source

    source = Source.parse(dataset)
    made = watch(studies.record(source, folder, plan))
    written = None if ship is None else studies.ship_recording(source, made, folder, plan, ship)
    moments = _rows(made)
    result = {"dataset": made.dataset, "name": made.name, "network": made.network, "moments": moments}
    headings = {"images": "images seen", "minutes": "minutes", "r": "r with Wiener's field", "error": "error / its"}
    shown = [{**row, "r": _numbers(row["r"]), "error": _numbers(row["error"])} for row in moments]
    text = f"{table(shown, headings)}\n\nr at sigma {_numbers(made.sigmas)}; errors at {_numbers(made.error_sigmas)}"
    say(result, as_json, text if written is None else f"{text}\n{file_text(written)}")


def _rows(made: Recording) -> list[dict[str, Any]]:
    """One row a moment; r is the mean over the pixels."""
    count, rows = len(made.pixels), []
    for m, images in enumerate(made.images):
        r = [sum(made.similarity(m, s, p) for p in range(count)) / count for s in range(len(made.sigmas))]
        rows.append({"images": images, "minutes": made.minutes[m], "r": r, "error": made.errors[m].tolist()})
    return rows


def _numbers(values: Any) -> str:
    return "  ".join(f"{value:.3g}" for value in values)
