"""The command classifier: train the small classifier whose features compare sets of images."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from locality.cli.parts.app import DatasetArg, FirstOpt, JsonOpt, app, say, watch


@app.command()
def classifier(
    dataset: DatasetArg,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the weights and the manifest.")],
    images: Annotated[int, typer.Option("--images", metavar="N", help="Length of the training in images.")] = 250_000,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="KEY=VALUE", help="Any option of the training, e.g. flips=true, seed=1."),
    ] = None,
    first: FirstOpt = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
    as_json: JsonOpt = False,
) -> None:
    """Train a classifier of a dataset's labels, minutes on a CPU: `bench` compares images by its 64 features.

    A Frechet distance or score through it is named after it; it is no FID and no IS.
    """
    from locality.datasets import Source
    from locality.device import usable_device
    from locality.features import ClassifierPlan, train_classifier
    from locality.grammar import read

    options = read(f"classifier:{','.join(option or [])}")[1]
    plan = ClassifierPlan.parse({"images": str(images), **options})
    command = shlex.join(["python", "-m", "locality", *sys.argv[1:]])
    work = train_classifier(Source.parse(dataset, first), plan, out, device=usable_device(device), command=command)
    made = watch(work)
    accuracy = f"{made['held_out_accuracy']:.1%} ± {made['held_out_stderr']:.1%}"
    text = (
        f"{out}: {made['parameters']:,} weights; tells {accuracy} of {made['held_out_images']:,} held-out images right"
    )
    say({**made, "out": str(out)}, as_json, text)
