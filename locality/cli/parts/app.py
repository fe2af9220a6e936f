"""The Typer application and the arguments its commands share. Torch is imported only inside commands."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from locality.errors import BadInput

if TYPE_CHECKING:
    from locality.types import Pixel
    from locality.work import Progress

T = TypeVar("T")

app = typer.Typer(
    help="Locality Lab: sensitivity fields and analytic diffusion models from data statistics.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

DatasetArg = Annotated[
    str, typer.Argument(metavar="DATASET", help="A name from `datasets`, with options as name:key=value,...")
]
FirstOpt = Annotated[int | None, typer.Option("--first", metavar="N", help="Use the first N training images only.")]
ExactOpt = Annotated[
    bool, typer.Option("--exact", help="All components to all digits, where else a basis with a stated error would do.")
]
LeadingOpt = Annotated[
    int, typer.Option("--leading", metavar="K", help="Only the K largest components, with a proven error.", min=0)
]
ApproximateOpt = Annotated[
    int,
    typer.Option(
        "--approximate",
        metavar="K",
        help="K components, nearly, from two passes over the images without their covariance, with a proven error.",
        min=0,
    ),
]
JsonOpt = Annotated[bool, typer.Option("--json", help="Machine-readable result on stdout.")]
OutOpt = Annotated[Path, typer.Option("--out", metavar="F.npz", help="File to write.")]
SigmaOpt = Annotated[float, typer.Option("--sigma", metavar="S", help="Noise level in units of images in [-1, 1].")]
SeedOpt = Annotated[int, typer.Option("--seed", help="Seed of every random draw.")]
ShipOpt = Annotated[
    Path | None, typer.Option("--ship", metavar="DIR", help="Also write it to this folder of shipped files.")
]


def command_line(*without: str) -> str:
    """What was typed, for a manifest, without some words."""
    return shlex.join(["python", "-m", "locality", *(word for word in sys.argv[1:] if word not in without)])


def file_text(path: Path) -> str:
    """A file that was written, and how large it is."""
    return f"{path}: {path.stat().st_size / 1e3:.1f} kB"


def watch(work: Generator[Progress, None, T]) -> T:
    """Run long work under a progress bar on stderr with live numbers, rate and time left.

    Where stderr is a file or a pipe: one line now and then instead of a bar.
    """
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    from locality.studies import finish

    console = Console(stderr=True)
    if not console.is_terminal:
        return finish(work, _lines())
    live = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[numbers]}"))
    with Bar(*live, TimeElapsedColumn(), TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task("", total=1.0, numbers="")

        def show(event: Progress) -> None:
            bar.update(task, completed=event.fraction, description=event.note, numbers=_numbers(event.numbers))

        return finish(work, show)


def _lines(every: float = 30.0) -> Callable[[Progress], None]:
    """A reporter for logs: at most one line every few seconds."""
    shown = [time.monotonic()]

    def show(event: Progress) -> None:
        if time.monotonic() - shown[0] >= every:
            shown[0] = time.monotonic()
            typer.echo(f"{event.note} {event.fraction:.1%}  {_numbers(event.numbers)}".rstrip(), err=True)

    return show


def _numbers(numbers: Mapping[str, float]) -> str:
    shown = []
    for name, value in numbers.items():
        if name == "bytes_per_second":
            shown.append(f"{value / 1e6:.1f} MB/s")
        elif name == "rate":
            shown.append(f"{value:,.0f} images/s")
        elif name == "seconds_left":
            shown.append(f"{duration(value)} left")
        else:
            shown.append(f"{name.replace('_', ' ')} {value:,.4g}")
    return "  ".join(shown)


def duration(seconds: float) -> str:
    """Seconds as one would say them: 40 s, 12 min, 3.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def say(result: Any, as_json: bool, text: str) -> None:
    """Print a result: JSON (null for a number that is not defined), or the text meant for people."""
    from locality.store.artifact import defined

    typer.echo(json.dumps(defined(result), indent=1, allow_nan=False) if as_json else text)


def parse_pixel(text: str) -> Pixel:
    """`ROW,COL` -> a pixel. Raises BadInput."""
    from locality.types import Pixel

    try:
        row, col = (int(part) for part in text.split(","))
    except ValueError:
        raise BadInput(f"--pixel {text!r} is not ROW,COL. Give two whole numbers, for example --pixel 16,16.") from None
    return Pixel(row, col)


def table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> str:
    """Rows as aligned text; `columns` maps keys to headings."""
    lines = [list(columns.values()), *([str(row.get(key, "")) for key in columns] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    padded = ([cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines)
    return "\n".join("  ".join(cells).rstrip() for cells in padded)
