"""Commands about networks: train, networks."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from locality.cli.parts.app import DatasetArg, FirstOpt, JsonOpt, app, command_line, say, table, watch
from locality.cli.parts.machine import DeviceOpt
from locality.cli.parts.models import option_lines
from locality.cli.parts.plans import PlanOpt, planned
from locality.errors import BadInput

if TYPE_CHECKING:
    from locality.work import Progress

T = TypeVar("T")
_KINDS = {"name": "name", "sees": "what it may look at", "presets": "preset="}


@app.command(cls=planned("locality.networks", "TrainSpec", only=("flips", "ambient"), rest=True))
def train(
    dataset: DatasetArg,
    network: Annotated[
        str, typer.Option("--network", metavar="NAME", help="A network, with options as name:key=value,...")
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder for the state, the weights and the manifest.")
    ],
    images: Annotated[
        int | None, typer.Option("--images", metavar="N", help="Length of the training in images.")
    ] = None,
    minutes: Annotated[float | None, typer.Option("--minutes", metavar="M", help="... or in minutes.")] = None,
    preset: Annotated[
        str,
        typer.Option(
            "--preset",
            metavar="NAME",
            help="Size of the network: paper, as Lukoianov et al. 2025 trained it, for 200 passes over the images.",
        ),
    ] = "",
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with the training in DIR as if it had not stopped; for longer with schedule=inverse_sqrt only.",
        ),
    ] = False,
    moments: Annotated[
        int, typer.Option("--moments", metavar="K", help="Keep K averaged networks along the way in DIR/moments.")
    ] = 0,
    plan: PlanOpt = None,
    device: DeviceOpt = "auto",
    accumulate: Annotated[
        int, typer.Option("--accumulate", metavar="K", help="Compute a batch in K parts, with memory for one of them.")
    ] = 1,
    compiled: Annotated[
        bool | None,
        typer.Option(
            "--compile/--no-compile",
            help="Compile the network for its device (a minute at the start); by default with --preset on a GPU.",
        ),
    ] = None,
    first: FirstOpt = None,
    preview: Annotated[
        bool, typer.Option("--preview", help="Keep images and a field of the network as it learns, for the Train page.")
    ] = False,
    with_parent: Annotated[
        bool, typer.Option("--with-parent", help="Stop as on Ctrl-C when the program that started this one ends.")
    ] = False,
    as_json: JsonOpt = False,
) -> None:
    """Train a network as a denoiser; Ctrl-C keeps the work, --resume goes on with it.

    Started by torchrun, each process takes a GPU and a share of every batch.
    """
    from locality.datasets import Source
    from locality.networks import NETWORKS, STATE, Budget, Machine
    from locality.studies import PAPER_EPOCHS, finish, join_training, sized, train_network

    source = Source.parse(dataset, first)
    spec = sized(network, preset, source.shape) if preset else NETWORKS.parse(network)
    if preset and images is minutes is None:
        images = PAPER_EPOCHS * len(source.train)
    machine = Machine.here(device, accumulate=accumulate, compiled=bool(compiled))
    if compiled is None and preset and machine.kind == "cuda":
        machine = replace(machine, compiled=True)
    budget = Budget(images, minutes)
    if not machine.first:
        share = join_training(source, spec, plan, budget, out, machine, resume=resume)
        finish(_until_interrupt(share, out / STATE, None))
        return
    work = train_network(
        source,
        spec,
        plan,
        budget,
        out,
        resume=resume,
        moments=moments,
        machine=machine,
        command=command_line("--resume", "--with-parent", "--preview"),
        preview=preview,
    )
    trained = watch(_until_interrupt(work, out / STATE, os.getppid() if with_parent else None))
    result = {**trained.summary(), "out": str(out)}
    ratios = "  ".join(f"{sigma}: {ratio:.3f}" for sigma, ratio in result["error_ratio"].items())
    say(result, as_json, f"{out}: {result['images_seen']:,} images seen. Held-out error / Wiener's by sigma: {ratios}")


def _until_interrupt(
    work: Generator[Progress, None, T], state: Path, parent: int | None
) -> Generator[Progress, None, T]:
    """Pass events on; Ctrl-C, or the end of the parent process, closes the work between two steps: its state is whole.

    (A process whose parent has ended is given another one.)
    """
    from locality.work import map_progress

    asked: list[int] = []

    def ask(number: int, frame: FrameType | None) -> None:
        asked.append(number)

    def stop(event: Progress) -> Progress:
        if asked or parent not in (None, os.getppid()):
            work.close()
            if not state.exists():
                raise BadInput("Stopped before the first step: there is nothing to keep.")
            raise BadInput(f"Stopped. {state} keeps the training: run the same command with --resume to go on.")
        return event

    before = signal.signal(signal.SIGINT, ask)
    try:
        return (yield from map_progress(work, stop))
    finally:
        signal.signal(signal.SIGINT, before)


@app.command()
def networks(
    dataset: Annotated[
        str | None,
        typer.Argument(metavar="[DATASET]", help="Only networks trained on this dataset, with its options and edits."),
    ] = None,
    kinds: Annotated[bool, typer.Option("--kinds", help="List the architectures that train makes instead.")] = False,
    as_json: JsonOpt = False,
) -> None:
    """List the trained networks: size, images seen, held-out error relative to the Wiener filter's."""
    from locality.datasets import Source
    from locality.studies import network_list, networks_for, trained_networks

    if kinds:
        every = network_list()
        blocks = [table([{**one, "presets": ", ".join(one["presets"])} for one in every], _KINDS)]
        blocks += [option_lines(f"{one['name']}: {one['about']}", one["options"]) for one in every]
        say(every, as_json, "\n\n".join(blocks))
        return
    source = None if dataset is None else Source.parse(dataset)
    found = trained_networks() if source is None else networks_for(source)
    for network in found:
        if source is not None and (warning := network.warning(source)):
            typer.echo(f"Note: {warning}", err=True)
        if network.note:
            typer.echo(f"Note: {network.name} of {network.dataset}: {network.note}.", err=True)
    rows = [network.summary() for network in found]
    shown = [
        {
            **row,
            "error_ratio": "  ".join(f"{sigma}: {ratio:.2f}" for sigma, ratio in (row["error_ratio"] or {}).items()),
            "file_size": f"{(row['file_size'] or 0) / 1e6:.1f} MB",
        }
        for row in rows
    ]
    headings = {
        "name": "name",
        "dataset": "dataset",
        "parameters": "parameters",
        "images_seen": "images seen",
        "error_ratio": "error / Wiener's by sigma",
        "file_size": "size",
    }
    say(rows, as_json, table(shown, headings))
