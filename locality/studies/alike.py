"""Were two networks trained alike? And the training that is alike in all but its seed."""

from __future__ import annotations

from collections.abc import Mapping

from locality.datasets import Source
from locality.specs import Spec
from locality.studies.trained import Trained

TWIN = "-b"  # what the name of the same training from another seed ends in


def training_difference(network: Trained, to: Trained) -> str:
    """What must be said where two networks stand side by side: flips and images seen where they differ; "" for nothing.

    Mirrored images change the covariance, and so the fields, by themselves.

    A checkpoint that does not say how it was trained differs in nothing that is known.
    """
    parts: tuple[list[str | None], list[str | None]] = ([], [])
    for one, said in zip((network, to), parts, strict=True):
        train, seen = one.manifest.get("train"), one.manifest.get("images_seen")
        said.append(None if train is None else "with flips" if train.get("flips") else "without flips")
        said.append(None if seen is None else f"on {seen:,} images")
    different = [pair for pair in zip(*parts, strict=True) if None not in pair and pair[0] != pair[1]]
    if not different:
        return ""
    ours, theirs = (" ".join(map(str, side)) for side in zip(*different, strict=True))
    return f"trained {ours}, {to.name} {theirs}"


def unmirrored(network: Trained, models: Mapping[str, Spec]) -> str:
    """What must be said of analytic models, by name, beside a network that saw mirrored images; "" for nothing."""
    if not (network.manifest.get("train") or {}).get("flips"):
        return ""
    mirrored = [name for name, spec in models.items() if getattr(spec, "flips", False)]
    but = f", but for {', '.join(mirrored)}" if mirrored else ""
    return "" if len(mirrored) == len(models) else (
        f"{network.name} was trained with flips; analytic models have the images as they are{but}."
    )  # fmt: skip


def twin_command(source: Source, network: Trained) -> str:
    """The command of a network's own training from another seed."""
    made, folder = str(network.manifest["command"]), network.folder.name
    return f"{made.replace(folder, f'{source.slug}-{network.name}{TWIN}')} --option seed=1"
