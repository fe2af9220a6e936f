"""The Typer application and the arguments its commands share. Torch is imported only inside commands."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from locality.errors import BadInput

if TYPE_CHECKING:
    from locality.types import Pixel, Progress

T = TypeVar("T")

app = typer.Typer(
    help="Locality Lab: sensitivity fields and analytic diffusion models from data statistics.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

DatasetArg = Annotated[str, typer.Argument(metavar="DATASET", help="A name from `datasets`, with options as name:key=value,...")]
FirstOpt = Annotated[int | None, typer.Option("--first", metavar="N", help="Use the first N training images only.")]
JsonOpt = Annotated[bool, typer.Option("--json", help="Machine-readable result on stdout.")]
OutOpt = Annotated[Path, typer.Option("--out", metavar="F.npz", help="File to write.")]
SigmaOpt = Annotated[float, typer.Option("--sigma", metavar="S", help="Noise level in units of images in [-1, 1].")]
SeedOpt = Annotated[int, typer.Option("--seed", help="Seed of every random draw.")]


def watch(work: Generator[Progress, None, T]) -> T:
    """Run long work under a progress bar on stderr with live numbers, rate and time left."""
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    from locality.studies import finish

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[numbers]}"))
    with Bar(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=1.0, numbers="")

        def show(event: Progress) -> None:
            bar.update(task, completed=event.fraction, description=event.note, numbers=_numbers(event.numbers))

        return finish(work, show)


def _numbers(numbers: Mapping[str, float]) -> str:
    units = {"rate": " images/s"}
    return "  ".join(f"{name.replace('_', ' ')} {value:,.4g}{units.get(name, '')}" for name, value in numbers.items())


def say(result: Any, as_json: bool, text: str) -> None:
    """Print a result: JSON, or the text meant for people."""
    typer.echo(json.dumps(result, indent=1, allow_nan=False) if as_json else text)


def parse_pixel(text: str) -> Pixel:
    """`ROW,COL` -> a pixel. Raises BadInput."""
    from locality.types import Pixel

    try:
        row, col = (int(part) for part in text.split(","))
    except ValueError:
        raise BadInput(f"--pixel {text!r} is not ROW,COL. Give two whole numbers, for example --pixel 16,16.") from None
    return Pixel(row, col)


def table(rows: list[Mapping[str, Any]], columns: Mapping[str, str]) -> str:
    """Rows as aligned text; `columns` maps keys to headings."""
    lines = [list(columns.values()), *([str(row.get(key, "")) for key in columns] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)
