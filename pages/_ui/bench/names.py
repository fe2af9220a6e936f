"""Models in words: what a row is called on the page, beside its exact name."""

from __future__ import annotations

from locality.denoisers import DENOISERS
from locality.networks import NETWORKS
from locality.studies import Bench

_SAID = {"first": "first {} images", "steps": "{} steps", "clip": "clip {}"}


def plain(made: Bench, row: str) -> str:
    """`ls:window=7@first=1000` as "Local score (window 7, first 1000 images)", `unet-b` as "UNet (training b)".

    Other names as they are.
    """
    model, _, settings = row.partition("@")
    name, _, options = model.partition(":")
    if name in DENOISERS:
        title = DENOISERS[name].title()
    elif name in NETWORKS:
        title = NETWORKS[name].heading
    elif name.partition("-")[0] in NETWORKS:
        name, _, training = name.partition("-")
        title, options = NETWORKS[name].heading, f"training {training}"
    else:
        return row
    said = [" ".join(part.split("=")) for part in options.split(",") if part]
    for part in filter(None, settings.split(",")):
        key, _, value = part.partition("=")
        said.append(_SAID.get(key, f"{key} {{}}").format(value))
    return f"{title} ({', '.join(said)})" if said else title
