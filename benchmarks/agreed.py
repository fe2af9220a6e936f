"""The shipped studies of agreement as tables: networks against the prediction and each other. Nothing is measured."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from benchmarks.tables import pm, row, table
from locality.datasets import Source
from locality.studies import Agreement, found_agreement, networks_for

SETS = ("afhq_cats", "cifar10", "fashion_mnist", "mnist", "faces")


def shipped_agreement(name: str) -> Agreement | None:
    """The study of a set's networks and their untrained twins."""
    source = Source.parse(name)
    networks = [network.name for network in networks_for(source)]
    return found_agreement(source, ["wiener", *networks, *(f"untrained:{network}" for network in networks)])


def notes(name: str) -> list[str]:
    """What must be said of the training of a set's networks."""
    return [f"- `{network.name}`: {network.note}." for network in networks_for(Source.parse(name)) if network.note]


def lines(study: Agreement) -> Iterator[str]:
    """The section of one set."""
    trained = [name for name in study.names if name != "wiener" and not name.startswith("untrained:")]
    sigmas = [f"{sigma:.2g}" for sigma in study.sigmas]
    found, at = study.off_centre, {name: place for place, name in enumerate(study.names)}
    command = f"python -m locality agreement {study.dataset} --untrained"
    yield f"### {study.dataset}\n\n`{command}`: {len(study.pixels)} pixels, {study.plan.draws} draws.\n"
    yield f"Against the prediction, excluding the pixel itself, at sigma {' / '.join(sigmas)}:\n"
    yield from table(["network", *sigmas])
    for name in trained:
        one, twin = at[name], at[f"untrained:{name}"]
        yield row([name, *_pm(found.value[:, 0, one], found.stderr[:, 0, one])])
        yield row(["... untrained", *_pm(found.value[:, 0, twin], found.stderr[:, 0, twin])])
        yield row(["... reliability", *(f"{float(value):.2f}" for value in found.reliability[:, one])])
    yield "\nThe networks with each other, the same measure:\n"
    yield from table(["", *trained[1:]])
    for place, name in enumerate(trained[:-1]):
        later = [found.value[:, at[name], at[other]].tolist() for other in trained[place + 1 :]]
        yield row([name, *[""] * place, *(" / ".join(f"{value:.2f}" for value in values) for values in later)])
    if study.r2_samples is not None:
        yield f"\nR2 of {study.plan.samples} final samples from the same noise, row as the estimate of column:\n"
        shown = ["wiener", *trained]
        yield from table(["", *shown])
        for name in shown:
            values, errors = study.r2_samples.value[at[name]], study.r2_samples.stderr[at[name]]
            cells = dict(zip(study.names, _pm(values, errors), strict=True))
            yield row([name, *("" if other == name else cells[other] for other in shown)])
    yield ""
    yield from notes(study.dataset)


def _pm(values: Tensor, errors: Tensor) -> list[str]:
    return [pm(value, error, 2) for value, error in zip(values.tolist(), errors.tolist(), strict=True)]


def run() -> None:
    """Print a section for every set."""
    for name in SETS:
        if (study := shipped_agreement(name)) is not None:
            print("\n".join(lines(study)))
