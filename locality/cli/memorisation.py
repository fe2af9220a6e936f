"""The command memorisation: are a model's samples copies of its training images?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from locality.cli.parts.app import DatasetArg, FirstOpt, JsonOpt, app, say, watch
from locality.cli.parts.machine import DevicesOpt, compute_on
from locality.cli.parts.models import tell_note
from locality.cli.parts.plans import PlanOpt, planned

if TYPE_CHECKING:
    from locality.studies import Copies


@app.command(
    cls=planned(
        "locality.studies",
        "Sampling",
        only=("count", "steps", "seed"),
        typed={"count": "-n"},
        usual={"count": 64, "steps": 20},
    )
)
def memorisation(
    dataset: DatasetArg,
    model: Annotated[str, typer.Option("--model", metavar="NAME", help="A model, as for `sample`.")],
    plan: PlanOpt = None,
    first: FirstOpt = None,
    device: DevicesOpt = "auto",
    as_json: JsonOpt = False,
) -> None:
    """Share of samples that copy a training image, beside the same share of held-out images.

    A copy is three times nearer to one training image than to any other (L2). Give --first N where the network was
    trained with it: its samples are compared with the images it saw.
    """
    from locality.datasets import Source
    from locality.studies import find_model, memorisation

    source, compute = Source.parse(dataset, first), compute_on(device)
    tell_note(find_model(source, model))
    found = watch(memorisation(source, model, plan, compute=compute))
    result = {"dataset": source.text, "model": model, "train_images": len(source.train)}
    result |= {"steps": plan.steps, "seed": plan.seed}
    rows = [_line(f"samples of {model}", found.samples), _line("held-out images", found.held_out)]
    say({**result, **found.to_json()}, as_json, "\n".join(rows))


def _line(what: str, found: Copies) -> str:
    share = f"{100 * found.share:.1f} % ± {100 * found.stderr:.1f} % copies of {found.count}"
    return f"{what}: {share}; nearest training image at {found.median_distance:.2f} (median L2)"
