"""Denoisers by name: statistics from the store, trained networks from their folders."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from locality.datasets import Source
from locality.denoisers import DENOISERS
from locality.device import Compute
from locality.errors import BadInput, DataUnavailable, UnknownName
from locality.networks import MANIFEST, NETWORKS, WEIGHTS, NetworkDenoiser, load_manifest, load_network
from locality.params import split_spec
from locality.store import Store, default_store
from locality.types import Denoiser, Progress
from locality.wiener import WienerFilter


def fit_wiener(
    source: Source, *, store: Store | None = None, compute: Compute | None = None
) -> Generator[Progress, None, WienerFilter]:
    """Eigendecomposition of a dataset's covariance: from the store, else computed once.

    Raises:
        DataUnavailable: neither the images nor shipped statistics are on this machine.
    """
    fitted = yield from DENOISERS["wiener"]().fit(source, compute or Compute(), store or default_store())
    assert isinstance(fitted, WienerFilter)
    return fitted


@dataclass(frozen=True)
class Trained:
    """A trained network on disk and what its manifest says."""

    name: str
    folder: Path
    manifest: dict[str, Any]

    @property
    def dataset(self) -> str:
        return str(self.manifest["dataset"])

    def load(self) -> NetworkDenoiser:
        """The network, ready to denoise. Raises BadInput, DigestMismatch, CheckpointMismatch, NonFinite."""
        return load_network(self.folder)

    def summary(self) -> dict[str, Any]:
        """One row of `networks`: name, dataset, parameters, images seen, error ratios, bytes of its weights."""
        facts = ("dataset", "parameters", "images_seen", "error_ratio")
        weights = self.folder / WEIGHTS
        size = weights.stat().st_size if weights.is_file() else None
        return {"name": self.name, **{fact: self.manifest.get(fact) for fact in facts}, "file_size": size}


def trained_networks(dataset: str | None = None, *, store: Store | None = None) -> list[Trained]:
    """The networks under cache/shipped/networks and cache/local/networks, by dataset and name.

    Raises:
        BadInput: a folder there with a damaged manifest.
    """
    home = store or default_store()
    roots = [root / "networks" for root in (home.shipped_root, home.local) if root is not None]
    found = []
    for manifest in sorted(path for root in roots for path in root.glob(f"*/{MANIFEST}")):
        network = _trained(manifest.parent)
        if dataset in (None, network.dataset):
            found.append(network)
    return found


def find_network(source: Source, name: str, *, store: Store | None = None) -> Trained:
    """A trained network of a dataset by name, or any checkpoint folder by path.

    Raises:
        UnknownName: no such network is trained on this dataset; lists those that are.
        BadInput: it was trained on images of another shape.
    """
    known = {network.name: network for network in trained_networks(source.name, store=store)}
    if name not in known and not Path(name).is_dir():
        raise UnknownName(f"model for {source.name}", name, [*DENOISERS, *known])
    network = known[name] if name in known else _trained(Path(name))
    if tuple(network.manifest["shape"]) != tuple(source.shape):
        trained = "x".join(map(str, network.manifest["shape"]))
        raise BadInput(
            f"{name} was trained on {trained} images of {network.dataset}; those of {source.name} are {source.shape}. "
            "Choose a network trained on images of the same shape."
        )
    return network


def _trained(folder: Path) -> Trained:
    manifest = load_manifest(folder)
    if not isinstance(manifest.get("dataset"), str):
        raise BadInput(f"{folder / MANIFEST} does not name the dataset the network was trained on.")
    return Trained(str(manifest["network"]["name"]), folder, manifest)


def open_denoiser(source: Source, text: str, *, store: Store | None = None) -> Generator[Progress, None, Denoiser]:
    """`wiener`, another analytic model, a trained network's name, or a checkpoint folder -> a denoiser."""
    name, _ = split_spec(text)
    if name in DENOISERS:
        return (yield from DENOISERS.parse(text).fit(source, Compute(), store or default_store()))
    if name in NETWORKS and not trained_networks(source.name, store=store):
        raise DataUnavailable(
            f"No {name} is trained on {source.name}. Train one: python -m locality train {source.name} "
            f"--network {name} --out FOLDER, then pass --model FOLDER."
        )
    return find_network(source, text, store=store).load()
