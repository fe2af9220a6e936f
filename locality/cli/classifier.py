"""The command classifier: train the small classifier whose features compare sets of images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from locality.cli.parts.app import DatasetArg, FirstOpt, JsonOpt, app, command_line, say, watch
from locality.cli.parts.machine import DeviceOpt
from locality.cli.parts.plans import PlanOpt, planned


@app.command(cls=planned("locality.features", "ClassifierPlan", only=("images",), rest=True))
def classifier(
    dataset: DatasetArg,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the weights and the manifest.")],
    plan: PlanOpt = None,
    first: FirstOpt = None,
    device: DeviceOpt = "auto",
    as_json: JsonOpt = False,
) -> None:
    """Train a classifier of a dataset's labels, minutes on a CPU: `bench` compares images by its 64 features.

    A Frechet distance or score computed with it is named after it; it is neither FID nor IS.
    """
    from locality.datasets import Source
    from locality.device import usable_device
    from locality.features import train_classifier

    source, where = Source.parse(dataset, first), usable_device(device)
    made = watch(train_classifier(source, plan, out, device=where, command=command_line()))
    accuracy = f"{made['held_out_accuracy']:.1%} ± {made['held_out_stderr']:.1%}"
    text = (
        f"{out}: {made['parameters']:,} weights; tells {accuracy} of {made['held_out_images']:,} held-out images right"
    )
    say({**made, "out": str(out)}, as_json, text)
