"""Were two networks trained alike? Mirrored images change the covariance, and so the fields, by themselves."""

from __future__ import annotations

from locality.studies.trained import Trained


def training_difference(network: Trained, to: Trained) -> str:
    """What must be said where two networks stand side by side: flips and images seen where they differ; "" for nothing.

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
