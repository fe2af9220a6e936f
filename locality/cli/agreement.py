"""The command agreement: do different models of a dataset have similar fields?"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from locality.cli.parts.app import DatasetArg, FirstOpt, JsonOpt, ShipOpt, app, file_text, say, watch
from locality.cli.parts.machine import ClusterOpt, DevicesOpt, MemoryOpt, cluster_facts, compute_on, spent_text
from locality.cli.parts.matrices import agreement_text
from locality.cli.parts.npz import check_out, write_npz
from locality.cli.parts.plans import PlanOpt, planned
from locality.errors import BadInput
from locality.grammar import read_list
from locality.memory import peak_memory

if TYPE_CHECKING:
    from locality.datasets import Source
    from locality.studies import Agreement


@app.command(cls=planned("locality.studies", "AgreementPlan"))
def agreement(
    dataset: DatasetArg,
    networks: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            help="Models: a name from `models` or `networks`, a checkpoint, or untrained:NAME for a network as "
            "initialised; by default wiener and all networks trained on the dataset.",
        ),
    ] = None,
    untrained: Annotated[
        bool, typer.Option("--untrained", help="Add the untrained twin of every trained network.")
    ] = False,
    plan: PlanOpt = None,
    first: FirstOpt = None,
    ship: ShipOpt = None,
    out: Annotated[Path | None, typer.Option(metavar="F.npz", help="Also write every matrix to this file.")] = None,
    device: DevicesOpt = "auto",
    memory: MemoryOpt = 512,
    cluster: ClusterOpt = "",
    as_json: JsonOpt = False,
) -> None:
    """Compare every pair of models: fields of a grid of pixels, estimates of held-out images, samples.

    Results are kept: the same command again answers at once. --json explains every number.
    """
    from locality import studies
    from locality.datasets import Source

    compute, source = compute_on(device, memory, cluster), Source.parse(dataset, first)
    names = _default(source) if networks is None else _names(networks)
    names += _twins(source, names) if untrained else []
    if out is not None:
        check_out(out)
    began = time.perf_counter()
    made = watch(studies.measure_agreement(source, names, plan=plan, compute=compute))
    for model in made.models:
        if model["note"]:
            typer.echo(f"Note: {model['name']}: {model['note']}", err=True)
    if out is not None:
        _write(out, made)
    shipped = None if ship is None else studies.ship_agreement(source, made, ship)
    result = {
        **made.to_json(),
        "seconds": time.perf_counter() - began,
        "peak_memory_bytes": peak_memory(),
        "shipped": None if shipped is None else str(shipped),
        "out": None if out is None else str(out),
        **cluster_facts(compute),
    }
    written = [file_text(path) for path in (shipped, out) if path is not None]
    spent = spent_text(result["seconds"], result["peak_memory_bytes"])
    say(result, as_json, "\n\n".join([agreement_text(made), "\n".join([*written, spent])]))


def _names(text: str) -> list[str]:
    names = read_list(text)
    if "" in names:
        raise BadInput(f"--networks {text!r} has an empty name. Write for example --networks wiener,unet.")
    return names


def _default(source: Source) -> list[str]:
    from locality.studies import networks_for

    trained = list(dict.fromkeys(network.name for network in networks_for(source)))
    if not trained:
        raise BadInput(
            f"No network is trained on {source.text}. Train one with python -m locality train, or name two models: "
            "--networks wiener,optimal."
        )
    return ["wiener", *trained]


def _twins(source: Source, names: list[str]) -> list[str]:
    """The untrained twins that are not among the names; those without one are noted on stderr."""
    from locality.studies import untrained_twins

    twins = untrained_twins(source, names)
    for name in (name for name, twin in twins.items() if twin is None):
        typer.echo(f"Note: {name} has no untrained twin: its architecture is not made here.", err=True)
    return [twin for twin in twins.values() if twin is not None and twin not in names]


def _write(out: Path, made: Agreement) -> None:
    import numpy as np

    arrays = {name: array.numpy() for name, array in made.arrays().items()}
    write_npz(out, names=np.array(made.names), sigmas=np.array(made.sigmas), pixels=np.array(made.pixels), **arrays)
