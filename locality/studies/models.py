"""Models of a dataset by name: analytic ones with the network they follow, and trained networks."""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from locality.cluster.compute import ClusterCompute
from locality.cluster.here import usual
from locality.datasets import Source
from locality.denoisers import DENOISERS, DenoiserSpec
from locality.device import Compute, placed
from locality.errors import DataUnavailable, NonFinite
from locality.grammar import command
from locality.linear.statistics import fit_filter
from locality.linear.wiener import WienerFilter
from locality.networks import NETWORKS
from locality.store import Store, default_store
from locality.studies.trained import Trained, find_network, is_path, networks_for
from locality.types import Denoiser
from locality.work import Progress


def fit_wiener(
    source: Source,
    *,
    store: Store | None = None,
    compute: Compute | None = None,
    exact: bool = False,
    leading: int = 0,
    approximate: int = 0,
) -> Generator[Progress, None, WienerFilter]:
    """Eigendecomposition of a dataset's covariance: from the store, else computed once.

    `exact`: no basis with a stated error; `leading`: so many components, with the error of leaving the others out;
    `approximate`: so many, nearly, without the covariance.

    Raises:
        BadInput: so many components are not to be had.
        DataUnavailable: neither the images nor shipped statistics are on this machine.
    """
    store, compute = store or default_store(), compute or usual()
    return (yield from fit_filter(source, compute, store, exact=exact, leading=leading, approximate=approximate))


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
        said = "" if self.network is None else self.network.warning(self.source)
        if self.spec is None:
            return said
        usual = self.spec.note(self.source.first or self.source.spec.count("train") or len(self.source.train))
        return " ".join(filter(None, (usual, said)))

    def open(self, *, store: Store, compute: Compute) -> Generator[Progress, None, Denoiser]:
        """The denoiser, fitted or read, on the device of `compute`."""
        network = None if self.network is None else self.network.load(compute.device)
        if self.spec is None:
            assert network is not None
            return network
        fitted = yield from self.spec.fit(self.source, compute, store, network)
        denoiser = placed(fitted, torch.device(compute.device))
        return compute.spread(denoiser, self.source) if isinstance(compute, ClusterCompute) else denoiser


def find_model(source: Source, text: str, *, store: Store | None = None) -> Model:
    """`name:option=value,...` of an analytic model, a trained network's name, or a checkpoint folder.

    Nothing is fitted or read yet but manifests: what is wrong with the text is reported at once.

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
    if name in NETWORKS and not networks_for(source, store=store):
        raise DataUnavailable(
            f"No {name} is trained on {source.text}. Train one: {_training(source, name)}, then pass --model FOLDER."
        )
    return Model(source, None, find_network(source, text, store=store))


def model_key(source: Source, text: str, store: Store | None = None) -> dict[str, Any]:
    """Everything the results of a model depend on, as plain JSON values. Raises as `find_model` and `Model.key`."""
    return find_model(source, text, store=store).key()


def finite(x0_hat: Float[Tensor, "b d"], name: str, sigma: float) -> Float[Tensor, "b d"]:
    """An estimate of a model in float32 on the CPU. Raises NonFinite."""
    if not bool(x0_hat.isfinite().all()):
        raise NonFinite(f"{name} gave NaN or infinity at sigma={sigma:g}. Leave it out, or choose other options.")
    return x0_hat.float().cpu()


def open_denoiser(
    source: Source, text: str, *, store: Store | None = None, compute: Compute | None = None
) -> Generator[Progress, None, Denoiser]:
    """A model by name (see `find_model`), ready to denoise on the device of `compute`."""
    model = find_model(source, text, store=store)
    return (yield from model.open(store=store or default_store(), compute=compute or usual()))


def _reference(source: Source, text: str, needed: str, store: Store | None) -> Trained:
    """The trained network an analytic model follows."""
    trained = [network.name for network in networks_for(source, store=store)]
    if needed not in trained and not is_path(needed):
        folder = (store or default_store()).local / "networks" / f"{source.slug}-{needed}"
        raise DataUnavailable(
            f"{text} follows the trained network {needed!r}, which {source.text} has not; "
            f"trained on it: {', '.join(trained) or 'none'}. Train it: {_training(source, needed, folder)}."
        )
    return find_network(source, needed, store=store)


def _training(source: Source, network: str, folder: Path | str = "FOLDER") -> str:
    return command("train", *source.words, "--network", network, "--minutes", 20, "--out", folder)
