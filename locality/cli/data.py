"""Commands about data: datasets, stats, download."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from locality.cli.parts.app import (
    ApproximateOpt,
    DatasetArg,
    ExactOpt,
    FirstOpt,
    JsonOpt,
    LeadingOpt,
    app,
    say,
    table,
    watch,
)
from locality.cli.parts.machine import ClusterOpt, SpaceOpt, cluster_facts, decomposing, spent_text
from locality.errors import BadInput, LocalityError
from locality.memory import peak_memory

if TYPE_CHECKING:
    from locality.datasets import DatasetSpec, Download
    from locality.linear.wiener import WienerFilter
    from locality.networks.checkpoints.hub import HubOffer
    from locality.work import Progress


@app.command()
def datasets(
    names: Annotated[
        list[str], typer.Argument(metavar="[DATASET]...", help="Only these, with options: name:key=value,...")
    ] = [],  # noqa: B006  Typer wants a list
    as_json: JsonOpt = False,
) -> None:
    """List the datasets: shape, number of images, licence, what is not read, and how to get those that are not here."""
    from locality.datasets import DATASETS

    rows: list[dict[str, Any]] = []
    for spec in map(DATASETS.parse, names or DATASETS):
        missing, number, notes = _state(spec)
        rows.append(
            {
                "name": spec.text() if names else spec.name,
                "title": spec.info.title,
                "shape": list(spec.shape),
                "number": number,
                "available": not missing,
                "how_to_get": missing,
                "notes": notes,
                "licence": spec.info.licence,
                "source": spec.info.source,
            }
        )
    shown = [
        {
            **row,
            "shape": "x".join(map(str, row["shape"])),
            "number": row["number"] or "",
            "state": " ".join([row["how_to_get"] or "available", *row["notes"]]),
        }
        for row in rows
    ]
    headings = {"name": "name", "shape": "shape", "number": "images", "licence": "licence", "state": "state"}
    say(rows, as_json, table(shown, headings))


def _state(spec: DatasetSpec) -> tuple[str, int | None, list[str]]:
    """How to get the images ("" where they are here), their number and what to know of them.

    A broken folder is reported, not fatal.
    """
    try:
        return spec.missing(), spec.count("train"), spec.notes()
    except LocalityError as error:
        return str(error), None, []


@app.command()
def stats(
    dataset: DatasetArg,
    first: FirstOpt = None,
    exact: ExactOpt = False,
    leading: LeadingOpt = 0,
    approximate: ApproximateOpt = 0,
    memory: SpaceOpt = None,
    cluster: ClusterOpt = "",
    as_json: JsonOpt = False,
) -> None:
    """Mean and covariance of a dataset: size, trace, largest eigenvalues, time and peak memory."""
    from locality.datasets import Source
    from locality.studies import fit_wiener

    source = Source.parse(dataset, first)
    compute, start = decomposing(memory, cluster), time.perf_counter()
    wiener = watch(fit_wiener(source, compute=compute, exact=exact, leading=leading, approximate=approximate))
    result: dict[str, Any] = {
        "dataset": source.text,
        "n": wiener.count,
        "d": wiener.shape.d,
        "shape": list(wiener.shape),
        "trace": wiener.trace,
        "largest_eigenvalues": wiener.eigvals[:10].tolist(),
        "units": "images in [-1, 1], squared",
        "components": len(wiener.eigvals),
        "rest": wiener.rest,
        "error": None if wiener.error is None else vars(wiener.error),
        "notes": source.notes(),
        "seconds": time.perf_counter() - start,
        "peak_memory_bytes": peak_memory(),
        **cluster_facts(compute),
    }
    values = ", ".join(f"{value:.4g}" for value in result["largest_eigenvalues"][:5])
    spent = spent_text(result["seconds"], result["peak_memory_bytes"])
    notes = "".join(f"note: {note}\n" for note in result["notes"])
    text = (
        f"{source.text}: n = {result['n']}, d = {result['d']}, trace = {result['trace']:.5g} ({result['units']})\n"
        f"largest eigenvalues: {values}\n{_accuracy(wiener)}{notes}{spent}"
    )
    say(result, as_json, text)


def _accuracy(wiener: WienerFilter) -> str:
    """One line about the error of an approximate decomposition; nothing for an exact one."""
    return "" if wiener.error is None else f"{wiener.error}; --exact for all digits\n"


@app.command()
def download(
    dataset: Annotated[
        str,
        typer.Argument(metavar="NAME", help="A name from `datasets`; inception, FID's network; checkpoint:ORG/NAME."),
    ],
    to: Annotated[
        Path | None, typer.Option("--to", metavar="DIR", help="Data folder instead of the user's own.")
    ] = None,
    mirror: Annotated[
        list[str], typer.Option("--mirror", metavar="URL", help="Base address to try instead of the known ones.")
    ] = [],  # noqa: B006  Typer wants a list
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show size, licence and sources.")] = False,
    as_json: JsonOpt = False,
) -> None:
    """Fetch images or a checkpoint: shows size and licence, resumes, checks digests; Ctrl-C keeps what has arrived."""
    from locality.places import user_data_dir

    name, offer = _offer(dataset, mirror)
    folder = (to or user_data_dir()) / offer.folder
    sources = list(mirror or offer.mirrors)
    typer.echo(f"{offer.title}: {offer.size / 1e6:.1f} MB, licence: {offer.licence}; into {folder}", err=True)
    if not dry_run:
        try:
            watch(_all(offer.run(to, mirrors=mirror or None)))
        except KeyboardInterrupt:
            raise BadInput("Stopped. What has arrived is kept: run the same command to go on.") from None
    result = {
        "dataset": name,
        "bytes": offer.size,
        "licence": offer.licence,
        "folder": str(folder),
        "mirrors": sources,
        "downloaded": not dry_run,
    }
    say(result, as_json, "\n".join(sources) if dry_run else f"{name} is in {folder}")


def _offer(text: str, mirrors: list[str]) -> tuple[str, Download | HubOffer]:
    """What a name stands for and what would be fetched. Raises UnknownName, and BadInput where there is nothing."""
    from locality.datasets import DATASETS
    from locality.features import INCEPTION

    if text.startswith("checkpoint:"):
        from locality.networks.checkpoints.hub import hub_offer

        return text, hub_offer(text.removeprefix("checkpoint:"), mirrors[0] if mirrors else None)
    if text == INCEPTION.folder:
        return text, INCEPTION
    spec = DATASETS.parse(text)
    offer = spec.download()
    if offer is None:
        raise BadInput(f"{spec.name} cannot be downloaded here. {spec.missing() or 'Its images are here already.'}")
    return spec.name, offer


def _all(events: Iterator[Progress]) -> Generator[Progress, None, None]:
    """An iterator of events as long work without a result."""
    yield from events
