"""Denoisers by name: statistics from the store, trained networks from their folders."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from locality.datasets import Source, slug
from locality.denoisers import DENOISERS, DenoiserSpec
from locality.device import Compute
from locality.errors import BadInput, DataUnavailable, UnknownName
from locality.networks import MANIFEST, NETWORKS, WEIGHTS, NetworkDenoiser, load_checkpoint, read_checkpoint
from locality.statistics import fit_filter
from locality.store import Store, default_store
from locality.types import Denoiser, ImageShape, Progress
from locality.wiener import WienerFilter

_FIRST = ("unet", "unet_attention", "resnet", "dit", "mlp")  # from the most to the least spatial bias


def fit_wiener(
    source: Source, *, store: Store | None = None, compute: Compute | None = None, exact: bool = False
) -> Generator[Progress, None, WienerFilter]:
    """Eigendecomposition of a dataset's covariance: from the store, else computed once; `exact`: no compact basis.

    Raises:
        DataUnavailable: neither the images nor shipped statistics are on this machine.
    """
    return (yield from fit_filter(source, compute or Compute(), store or default_store(), exact=exact))


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
        return str(self.manifest["dataset"])

    @property
    def architecture(self) -> str:
        """`name:option=value,...` as `train --network` takes it: what differs from the defaults."""
        options = dict(self.manifest["network"])
        name = str(options.pop("name"))
        usual = {field.name: field.default for field in dataclasses.fields(NETWORKS[name])} if name in NETWORKS else {}
        told = []
        for option, value in options.items():
            plain = tuple(value) if isinstance(value, list) else value
            if plain != usual.get(option):
                told.append(f"{option}={'-'.join(map(str, plain)) if isinstance(plain, tuple) else plain}")
        return ":".join(filter(None, [name, ",".join(told)]))

    def load(self, device: str = "cpu") -> NetworkDenoiser:
        """The network, ready to denoise. Raises BadInput, DigestMismatch, CheckpointMismatch, NonFinite."""
        denoiser = load_checkpoint(self.folder, self.manifest)
        denoiser.net.to(device)
        return denoiser

    def summary(self) -> dict[str, Any]:
        """One row of `networks`: name, dataset, parameters, images seen, error ratios, bytes of its weights."""
        facts = ("dataset", "parameters", "images_seen", "error_ratio")
        weights = self.folder / WEIGHTS
        size = weights.stat().st_size if weights.is_file() else None
        return {"name": self.name, **{fact: self.manifest.get(fact) for fact in facts}, "file_size": size}


def trained_networks(dataset: str | None = None, *, store: Store | None = None) -> list[Trained]:
    """The networks under cache/shipped/networks, then cache/local/networks: by architecture, unet first.

    Raises:
        BadInput: a folder there with a damaged manifest.
    """
    home = store or default_store()
    roots = [root / "networks" for root in (home.shipped_root, home.local) if root is not None]
    found = [
        (place, network)
        for place, root in enumerate(roots)
        for manifest in root.glob(f"*/{MANIFEST}")
        if dataset in (None, (network := read_trained(manifest.parent)).dataset)
    ]
    return [network for _, network in sorted(found, key=_in_order)]


def _in_order(found: tuple[int, Trained]) -> tuple[int, str, int, str]:
    place, network = found
    kind = str(network.manifest["network"]["name"])
    return place, network.dataset, (_FIRST.index(kind) if kind in _FIRST else len(_FIRST)), network.name


def find_network(source: Source, name: str, *, store: Store | None = None) -> Trained:
    """A trained network of a dataset by name, or any checkpoint by path (see `locality.networks.read_checkpoint`).

    Raises:
        UnknownName: no such network is trained on this dataset; lists those that are.
        BadInput: it was trained on images of another shape.
    """
    known = {network.name: network for network in trained_networks(source.name, store=store)}
    if name not in known and not is_path(name):
        raise UnknownName(f"model for {source.name}", name, [*DENOISERS, *known])
    network = known[name] if name in known else read_trained(Path(name), source.shape)
    if tuple(network.manifest["shape"]) != tuple(source.shape):
        trained = "x".join(map(str, network.manifest["shape"]))
        raise BadInput(
            f"{name} was trained on {trained} images of {network.dataset}; those of {source.name} are {source.shape}. "
            "Choose a network trained on images of the same shape."
        )
    return network


def is_path(text: str) -> bool:
    """Whether a model's name can only be a place: one that exists, or that no name looks like."""
    return "/" in text or Path(text).suffix in (".pt", ".pkl", ".safetensors") or Path(text).exists()


def read_trained(path: Path, shape: ImageShape | None = None) -> Trained:
    """The network of a folder written here, or of any checkpoint `locality.networks.read_checkpoint` takes.

    Raises BadInput (not one, or without a dataset), TooLarge, CheckpointMismatch.
    """
    folder, manifest = read_checkpoint(path, shape)
    if not isinstance(manifest.get("dataset"), str):
        raise BadInput(f"{folder / MANIFEST} does not name the dataset the network was trained on.")
    return Trained(folder.absolute().name.removeprefix(f"{slug(manifest['dataset'])}-"), folder, manifest)


@dataclass(frozen=True, eq=False)
class Model:
    """A model of a dataset, found but not fitted: an analytic one with the network it follows, or a network."""

    source: Source
    spec: DenoiserSpec | None
    network: Trained | None

    def key(self) -> dict[str, Any]:
        """Everything the model depends on, as plain JSON values: images, labels and options, or weights.

        Raises:
            DataUnavailable: the images are not on this machine and their digest is not known.
        """
        weights = None if self.network is None else self.network.manifest.get("sha256")
        if self.spec is None:
            return {"weights": weights}
        labels = self.source.train.labels if self.source.available else None
        return {
            "dataset": self.source.name,  # some models have published options for some datasets
            "fingerprint": self.source.fingerprint,
            "labels": None if labels is None else hashlib.sha256(labels.contiguous().numpy().tobytes()).hexdigest(),
            "spec": self.spec.key(),
            "weights": weights,
        }

    def note(self) -> str:
        """What must be said beside every result of this model; "" for nothing."""
        if self.spec is None:
            return ""
        return self.spec.note(self.source.first or self.source.spec.count("train") or len(self.source.train))

    def open(self, *, store: Store, compute: Compute) -> Generator[Progress, None, Denoiser]:
        """The denoiser, fitted or read, on the device of `compute`."""
        network = None if self.network is None else self.network.load(compute.device)
        if self.spec is None:
            assert network is not None
            return network
        return (yield from self.spec.fit(self.source, compute, store, network))


def find_model(source: Source, text: str, *, store: Store | None = None) -> Model:
    """`name:option=value,...` of an analytic model, a trained network's name, or a checkpoint folder.

    Nothing is fitted or read yet but manifests: what is wrong with the text is told at once.

    Raises:
        UnknownName: no such model; lists those there are.
        BadInput: an option that does not exist or is out of range, or a network of another image shape.
        DataUnavailable: a network is needed that is not trained on this dataset; says how to train it.
    """
    name = text.partition(":")[0].strip()
    if name in DENOISERS:
        spec = DENOISERS.parse(text)
        needed = spec.network_needed()
        return Model(source, spec, _reference(source, text, needed, store) if needed else None)
    if name in NETWORKS and not trained_networks(source.name, store=store):
        raise DataUnavailable(
            f"No {name} is trained on {source.name}. Train one: {_training(source, name)}, then pass --model FOLDER."
        )
    return Model(source, None, find_network(source, text, store=store))


def model_key(source: Source, text: str, store: Store | None = None) -> dict[str, Any]:
    """Everything the results of a model depend on, as plain JSON values. Raises as `find_model` and `Model.key`."""
    return find_model(source, text, store=store).key()


def open_denoiser(
    source: Source, text: str, *, store: Store | None = None, compute: Compute | None = None
) -> Generator[Progress, None, Denoiser]:
    """A model by name (see `find_model`), ready to denoise on the device of `compute`."""
    model = find_model(source, text, store=store)
    return (yield from model.open(store=store or default_store(), compute=compute or Compute()))


def _reference(source: Source, text: str, needed: str, store: Store | None) -> Trained:
    """The trained network an analytic model follows."""
    trained = [network.name for network in trained_networks(source.name, store=store)]
    if needed not in trained and not is_path(needed):
        folder = (store or default_store()).local / "networks" / f"{source.slug}-{needed}"
        raise DataUnavailable(
            f"{text} follows the trained network {needed!r}, which {source.name} has not; "
            f"trained on it: {', '.join(trained) or 'none'}. Train it: {_training(source, needed, folder)}."
        )
    return find_network(source, needed, store=store)


def _training(source: Source, network: str, folder: Path | str = "FOLDER") -> str:
    return f"python -m locality train {source.name} --network {network} --minutes 20 --out {folder}"
