"""Command about checkpoints made elsewhere, or here: checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from locality.cli.parts.app import JsonOpt, app, say


@app.command()
def checkpoint(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A folder or file: ours, diffusers', or a .pt.")],
    as_json: JsonOpt = False,
) -> None:
    """Show what a checkpoint holds and whether it can be used: `--model PATH` and `--networks PATH` then take it."""
    from locality.studies import read_trained
    from locality.types import ImageShape

    found = read_trained(path)
    denoiser = found.load()  # that its weights are finite and run is part of the answer
    about = found.manifest
    network = about["network"]
    result = {
        "path": str(found.folder),
        "format": "here" if isinstance(about["format"], int) else about["format"],
        "kind": network.get("kind", network["name"]),
        "prediction": denoiser.spec.prediction,
        **{key: about.get(key) for key in ("shape", "parameters", "dataset", "sigma_range", "timesteps", "sha256")},
    }
    levels = result["sigma_range"]
    noise = f"sigma {levels[0]:.4g} to {levels[1]:.4g}, {result['timesteps']} timesteps" if levels else "any sigma"
    text = (
        f"{found.folder}: {result['kind']} ({result['format']}), {result['parameters']:,} parameters, "
        f"predicts {result['prediction']}\n{ImageShape(*result['shape'])} images, {noise}"
    )
    say(result, as_json, text)
