"""The panels beside the image: the prediction, then one per network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from locality.fields.codec import LEARNED_SIGMAS
from locality.networks import NETWORKS
from locality.store.artifact import Artifact
from locality.studies import Trained, pixel_grid
from locality.types import ImageShape
from pages._ui import cached

STEP = 2  # every second pixel of rows and columns is stored
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#b8a800", "#8a979f")


@dataclass(frozen=True, eq=False)
class Entry:
    """A field that is compared: the prediction where `trained` is None. `table`: its stored fields, if any.

    `text`: what `find_model` calls the network; the path of a checkpoint of the user's own.
    """

    text: str
    title: str
    sub: str
    colour: str
    trained: Trained | None
    table: Artifact | None

    @property
    def sha256(self) -> str:
        return "" if self.trained is None else str(self.trained.manifest["sha256"])

    @property
    def twin(self) -> bool:
        """Whether its architecture can be made here, untrained."""
        return self.trained is not None and self.trained.manifest["network"]["name"] in NETWORKS


def entries_of(dataset: str, networks: Mapping[str, Trained]) -> list[Entry]:
    """The prediction and the networks, in order."""
    first = Entry("predicted", "Predicted", "From the covariance alone", "currentColor", None, None)
    return [first, *(_entry(dataset, *item, colour) for item, colour in zip(networks.items(), COLOURS, strict=False))]


def _entry(dataset: str, text: str, network: Trained, colour: str) -> Entry:
    kind = str(network.manifest["network"]["name"])
    title, about = kind, "Checkpoint made elsewhere"
    if kind in NETWORKS:
        title, about = NETWORKS[kind].heading, NETWORKS[kind].sees
    title = title if network.name == kind else network.name
    size = _millions(network.manifest)
    table = cached.hover_table(str(network.manifest["sha256"]), network)
    if table is not None and not _usual(table, dataset, ImageShape(*network.manifest["shape"])):
        table = None  # of other images, pixels or noise levels: computed after a click instead
    return Entry(text, title, f"{about}; {size}" if size else about, colour, network, table)


def _usual(table: Artifact, dataset: str, shape: ImageShape) -> bool:
    pixels = [list(pixel) for pixel in pixel_grid(shape, STEP)]
    same = table.meta["dataset"] == dataset and table.meta["pixels"] == pixels
    return bool(same and tuple(table.meta["sigmas"]) == tuple(LEARNED_SIGMAS))


def _millions(manifest: dict[str, Any]) -> str:
    count = manifest.get("parameters")
    return f"{count / 1e6:.1f} M weights" if count else ""
