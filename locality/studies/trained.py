"""Trained networks: those shipped and made here, found by name, and any checkpoint by path."""

from __future__ import annotations

import dataclasses
import functools
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from locality.datasets import Source, slug
from locality.denoisers import DENOISERS
from locality.errors import BadInput, LocalityError, UnknownName
from locality.grammar import value_text, write
from locality.networks import (
    MANIFEST,
    NETWORKS,
    UNKNOWN,
    WEIGHTS,
    NetworkDenoiser,
    classed,
    load_checkpoint,
    of_training,
    open_code,
    read_checkpoint,
)
from locality.sharing import exists, readable
from locality.specs import Code, code_of, named_codes
from locality.store import Store, default_store
from locality.store.atomic import settle
from locality.types import ImageShape


@dataclass(frozen=True)
class Trained:
    """A trained network on disk and what its manifest says.

    Its name is its folder's without a leading `DATASET-`: `cifar10-dit` is the `dit` of cifar10, `mine` is `mine`.
    """

    name: str
    folder: Path
    manifest: dict[str, Any]

    @property
    def dataset(self) -> str:
        """The text of the set it was trained on, as `Source.text`."""
        written = self.manifest.get("command") if self.manifest.get("format") == 1 else None
        return _spelled(str(self.manifest["dataset"]), str(written or ""))

    def is_of_variant(self, source: Source) -> bool:
        """Whether it was trained on the same set with other options."""
        trained = _parsed(self.dataset)
        return trained is not None and trained.is_variant(source)

    @property
    def note(self) -> str:
        """What must be said of its training wherever it is listed; "" for nothing."""
        return str(self.manifest.get("note", ""))

    def warning(self, source: Source) -> str:
        """What must be said where it is used for these images; "" where it was trained on them."""
        if self.is_of_variant(source):
            return f"{self.name} was trained on {self.dataset}; these images are {source.text}."
        return ""

    @property
    def architecture(self) -> str:
        """`name:option=value,...` as `train --network` takes it: what differs from the defaults."""
        options = dict(self.manifest["network"])
        name = str(options.pop("name"))
        options.pop("source", None)  # the digest of a plug-in from outside
        usual = {field.name: field.default for field in dataclasses.fields(NETWORKS[name])} if name in NETWORKS else {}
        plain = {option: tuple(value) if isinstance(value, list) else value for option, value in options.items()}
        return write(name, {option: value_text(value) for option, value in plain.items() if value != usual.get(option)})

    def load(self, device: str = "cpu") -> NetworkDenoiser:
        """The network, ready to denoise. Raises BadInput, DigestMismatch, CheckpointMismatch, NonFinite."""
        denoiser = load_checkpoint(self.folder, self.manifest)
        denoiser.net.to(device)
        return denoiser

    def summary(self) -> dict[str, Any]:
        """One row of `networks`: name, dataset, parameters, images seen, error ratios, bytes of its weights."""
        facts = ("parameters", "images_seen", "error_ratio")
        weights = self.folder / WEIGHTS
        size = weights.stat().st_size if weights.is_file() else None
        return {
            "name": self.name,
            "dataset": self.dataset,
            **{fact: self.manifest.get(fact) for fact in facts},
            "file_size": size,
        }


def trained_networks(dataset: str | None = None, *, store: Store | None = None) -> list[Trained]:
    """The networks under cache/shipped/networks, then cache/local/networks: by architecture, unet first.

    Args:
        dataset: only those trained on just this set, in any spelling (see `networks_for` for its variants).
    Raises:
        BadInput: a folder there with a damaged manifest.
    """
    home, wanted = store or default_store(), None if dataset is None else _spelled(dataset, "")
    roots = [root / "networks" for root in (home.shipped_root, home.local) if root is not None]
    for weights in (path for root in roots for path in root.glob(f"*/{WEIGHTS}")):
        settle(weights, weights.with_name(MANIFEST))  # a training that died while it wrote its first network
    found = [
        (place, network)
        for place, root in enumerate(roots)
        for manifest in root.glob(f"*/{MANIFEST}")
        if (network := _known(manifest.parent)) is not None and wanted in (None, network.dataset)
    ]
    return [network for _, network in sorted(found, key=_in_order)]


def networks_for(source: Source, *, store: Store | None = None) -> list[Trained]:
    """The networks trained on these images, then those of the same set with other options (`Trained.warning`).

    Of the latter only those of the images' shape and of a name that is not taken.
    """
    found = trained_networks(store=store)
    own = [network for network in found if network.dataset == source.text]
    names, shape = {network.name for network in own}, list(source.shape)
    others = [network for network in found if network.name not in names and network.manifest["shape"] == shape]
    return own + [network for network in others if network.is_of_variant(source)] + _of_python(source)


def _of_python(source: Source) -> list[Trained]:
    """The networks LOCALITY_PLUGINS names that were trained on these images, or do not say on which of this shape."""
    found = []
    for code in named_codes():
        try:
            network = trained_by(code)
        except LocalityError as error:
            logging.getLogger(__name__).warning("%s is left out. %s", code.short, error)
            continue
        known = network.dataset in (source.text, UNKNOWN)
        if known and network.manifest["shape"] == list(source.shape):
            found.append(network)
    return found


def trained_by(code: Code) -> Trained:
    """The network that a Python file makes; raises as `locality.networks.open_code`."""
    return Trained(code.short, code.path, open_code(code).manifest)


@functools.lru_cache(maxsize=1024)
def _parsed(text: str) -> Source | None:
    """The images of a text; None where it names a dataset or an edit that is not known here."""
    try:
        return Source.parse(text)
    except LocalityError:
        return None


@functools.lru_cache(maxsize=1024)
def _spelled(dataset: str, written: str) -> str:
    """A manifest's dataset in its one spelling; of format 1, which leaves out options, by the command it names."""
    source = _parsed(dataset)
    if source is None:
        return dataset
    words = (found for word in written.split() if (found := _parsed(word)) is not None)
    return next((found.text for found in words if found.name == source.name), source.text)


def _known(folder: Path) -> Trained | None:
    """The network of a folder; None where its architecture came with a plug-in that is not loaded now."""
    try:
        return read_trained(folder)
    except UnknownName as error:
        logging.getLogger(__name__).warning("%s is left out. %s", folder, error)
        return None


def _in_order(found: tuple[int, Trained]) -> tuple[int, str, int, str]:
    place, network = found
    kind = str(network.manifest["network"]["name"])
    known = NETWORKS.listed()
    return place, network.dataset, (known.index(kind) if kind in known else len(known)), network.name


def find_network(source: Source, name: str, *, store: Store | None = None) -> Trained:
    """A trained network of a dataset by name, or any checkpoint by path (see `locality.networks.read_checkpoint`).

    `my_net.py:build:option=value` is what a Python file makes, for those who may have it opened (`function_of`).

    Raises:
        UnknownName: no such network is trained on this dataset; lists those that are.
        BadInput: it was trained on images of another shape.
    """
    known = {network.name: network for network in networks_for(source, store=store)}
    if name not in known and is_path(name):
        readable(classed(Path(name))[0])  # where `:class=K` is taken off, another path is opened
        name = str(readable(name))
    if name not in known and not is_path(name):
        raise UnknownName(f"model for {source.text}", name, [*DENOISERS, *known])
    network = known[name] if name in known else read_named(name, source.shape)
    if tuple(network.manifest["shape"]) != tuple(source.shape):
        trained = "x".join(map(str, network.manifest["shape"]))
        raise BadInput(
            f"{name} was trained on {trained} images of {network.dataset}; those of {source.text} are {source.shape}. "
            "Choose a network trained on images of the same shape."
        )
    return network


def is_path(text: str) -> bool:
    """Whether a model's name can only be a place: one that exists, or that no name looks like."""
    written = "/" in text or Path(text).suffix in _SUFFIXES or code_of(text) is not None
    return written or exists(classed(Path(text))[0])


_SUFFIXES = (".pt", ".pth", ".ckpt", ".pkl", ".py", ".safetensors")


def read_named(text: str, shape: ImageShape | None = None) -> Trained:
    """The network of a path, or of a function of a Python file. Raises as `read_trained` and `open_code`."""
    code = code_of(text)
    return read_trained(Path(text), shape) if code is None or exists(text) else trained_by(code)


def read_trained(path: Path, shape: ImageShape | None = None) -> Trained:
    """The network of a folder written here, or of any checkpoint `locality.networks.read_checkpoint` takes.

    A moment of a finished training is a network of its images.

    Raises BadInput (not one, or without a dataset), TooLarge, CheckpointMismatch.
    """
    folder, manifest = read_checkpoint(path, shape)
    manifest = of_training(folder, manifest)
    if not isinstance(manifest.get("dataset"), str):
        raise BadInput(f"{folder / MANIFEST} does not name the dataset the network was trained on.")
    found = Trained(folder.absolute().name, folder, manifest)
    stems = (f"{slug(dataset)}-" for dataset in (found.dataset, manifest["dataset"]))  # the second: before options
    stem = next((stem for stem in stems if found.name.startswith(stem)), "")
    return replace(found, name=found.name.removeprefix(stem))
