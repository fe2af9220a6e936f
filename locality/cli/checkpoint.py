"""Command about checkpoints made elsewhere, or here: checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from locality.cli.parts.app import JsonOpt, app, say, watch
from locality.errors import BadInput

if TYPE_CHECKING:
    from locality.networks import NetworkDenoiser
    from locality.studies import Trained
    from locality.studies.checkpoint.check import Checked


@app.command()
def checkpoint(
    path: Annotated[
        str,
        typer.Argument(metavar="PATH", help="A folder or file: ours, diffusers', a .pt; my_net.py:FUNCTION[:OPTIONS]."),
    ],
    dataset: Annotated[
        str | None, typer.Argument(metavar="[DATASET]", help="Images to check it on; by default those it names itself.")
    ] = None,
    as_json: JsonOpt = False,
) -> None:
    """Show what a checkpoint holds, and check it on images: `--model PATH` and `--networks PATH` then take it.

    The held-out error at six noise levels over the Wiener filter's; where another reading of what the network takes
    and gives fits better, it says which and ends with code 2.
    """
    from locality.studies import read_named

    found = read_named(path)
    denoiser = found.load()  # that its weights are finite and run is part of the answer
    result, text = _described(found, denoiser)
    checked, why = _checked(found, denoiser, dataset)
    result["check"] = None if checked is None else checked.summary()
    say(result, as_json, f"{text}\n{why if checked is None else _table(checked)}")
    if checked is not None and checked.problem:
        raise BadInput(f"{found.name}: {checked.problem}")


def _described(found: Trained, denoiser: NetworkDenoiser) -> tuple[dict[str, Any], str]:
    from locality.networks import AdaptedDenoiser
    from locality.types import ImageShape

    about, network = found.manifest, found.manifest["network"]
    adapted = denoiser if isinstance(denoiser, AdaptedDenoiser) else None
    result = {
        "path": str(found.folder),
        "format": "here" if isinstance(about["format"], int) else about["format"],
        "kind": network.get("kind", network["name"]),
        "prediction": adapted.facts.gives if adapted else denoiser.spec.prediction,
        **{key: about.get(key) for key in ("shape", "parameters", "dataset", "sigma_range", "timesteps", "sha256")},
        "facts": adapted.facts.key() if adapted else None,
    }
    levels = result["sigma_range"]
    steps = f", {result['timesteps']} timesteps" if result["timesteps"] else ""
    noise = f"sigma {levels[0]:.4g} to {levels[1]:.4g}{steps}" if levels else "any sigma"
    facts = [f"  {line}" for line in adapted.facts.told()] if adapted else []
    return result, "\n".join(
        [
            f"{found.folder}: {result['kind']} ({result['format']}), {result['parameters']:,} parameters, "
            f"predicts {result['prediction']}",
            f"{ImageShape(*result['shape'])} images, {noise}",
            *facts,
        ]
    )


def _checked(found: Trained, denoiser: NetworkDenoiser, dataset: str | None) -> tuple[Checked | None, str]:
    """The check on images; where there are none to check it on, why."""
    from locality.datasets import Source
    from locality.errors import DataUnavailable, UnknownName
    from locality.networks import UNKNOWN
    from locality.studies import check_network_on

    if dataset is None and found.dataset == UNKNOWN:
        return None, "Not checked on images: it does not say which it was trained on. Name them behind it: digits, ..."
    try:
        source = Source.parse(dataset or found.dataset)
        return watch(check_network_on(source, denoiser)), ""
    except (DataUnavailable, UnknownName) as error:
        if dataset is not None:
            raise
        return None, f"Not checked on images. {error}"


def _table(checked: Checked) -> str:
    levels = "  ".join(f"{sigma:.3g}: {ratio:.3g}" for sigma, ratio in zip(checked.sigmas, checked.ratios, strict=True))
    said = "passes" if not checked.problem else "does not pass"
    return f"Held-out error / Wiener's by sigma, {checked.images} images of {checked.dataset}: {levels}\nIt {said}."
