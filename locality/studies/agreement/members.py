"""The models of a comparison: models of a dataset, and networks as initialised, before any training."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from locality.datasets import Source
from locality.denoisers.wiener import Wiener
from locality.device import Compute
from locality.errors import BadInput, UnknownName
from locality.grammar import read
from locality.linear.statistics import store_key
from locality.networks import NETWORKS, NetworkDenoiser, NetworkSpec, network_spec
from locality.store import Store
from locality.studies.alike import training_difference
from locality.studies.models import Model, find_model
from locality.studies.trained import Trained, find_network, networks_for
from locality.types import Denoiser, ImageShape
from locality.work import Progress

UNTRAINED = "untrained:"


@dataclass(frozen=True)
class Untrained:
    """A network as it starts, but for the layers that start at zero: these start as PyTorch starts others.

    With its last layer at zero a network answers c_skip x, whatever its architecture: nothing to compare. `seeds`: how
    many initialisations it stands for, by the seeds from `seed` on.
    """

    spec: NetworkSpec
    shape: ImageShape
    seed: int
    seeds: int = 1

    def key(self) -> dict[str, Any]:
        several = {"seeds": self.seeds} if self.seeds > 1 else {}
        return {"untrained": self.spec.identity(), "shape": list(self.shape), "seed": self.seed, **several}

    def build(self, device: str = "cpu", number: int = 0) -> NetworkDenoiser:
        """One of its initialisations; the same seed is the same weights. Raises BadInput where it does not fit."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed + number)  # layers initialise from the global generator only
            net = self.spec.build(self.shape)
            for layer in net.modules():
                if isinstance(layer, nn.Linear | nn.Conv2d) and not bool(layer.weight.any()):
                    layer.reset_parameters()
        return NetworkDenoiser(net.eval().requires_grad_(False).to(device), self.spec, self.shape)


@dataclass(frozen=True, eq=False)
class Member:
    """A model under the name it was asked for."""

    name: str
    model: Model | Untrained

    def key(self) -> dict[str, Any]:
        """Everything its fields depend on; the same whether or not a standard set's images are on this machine."""
        if isinstance(self.model, Model) and isinstance(self.model.spec, Wiener):
            return {"wiener": store_key(self.model.source.fingerprint), "spec": self.model.spec.key()}
        return self.model.key()

    def open(self, *, store: Store, compute: Compute) -> Generator[Progress, None, Denoiser]:
        """Its denoiser, on the device of `compute`; of an untrained network the first initialisation."""
        return (yield from self.open_all(store=store, compute=compute))[0]

    def open_all(self, *, store: Store, compute: Compute) -> Generator[Progress, None, tuple[Denoiser, ...]]:
        """Its denoiser, or one for each initialisation, on the device of `compute`."""
        if isinstance(self.model, Untrained):
            return tuple(self.model.build(compute.device, number) for number in range(self.model.seeds))
        return ((yield from self.model.open(store=store, compute=compute)),)

    @property
    def trained(self) -> Trained | None:
        """The trained network that it is, if it is one."""
        return self.model.network if isinstance(self.model, Model) and self.model.spec is None else None

    def facts(self) -> dict[str, Any]:
        """`name`, `kind` (analytic, trained or untrained), `error_ratio` by sigma or None, `note` ("" for none)."""
        if isinstance(self.model, Untrained):
            return {"name": self.name, "kind": "untrained", "error_ratio": None, "note": ""}
        ratio = None if self.trained is None else self.trained.manifest.get("error_ratio")
        kind = "analytic" if self.trained is None else "trained"
        return {"name": self.name, "kind": kind, "error_ratio": ratio, "note": self.model.note()}


def find_members(
    source: Source, names: Sequence[str], seed: int, *, seeds: int = 1, store: Store | None = None
) -> list[Member]:
    """The models of some names: see `find_model`, and `untrained:NAME` for a network as it starts.

    NAME is a network trained on the dataset or a checkpoint folder (the same architecture and options), or an
    architecture with options, name:option=value,...; `seed` draws the weights, of `seeds` initialisations.

    Raises:
        BadInput: fewer than two names, one given twice, or an option that is not allowed.
        UnknownName, DataUnavailable: as `find_model`.
    """
    if len(names) < 2:
        given = f"only {names[0]!r}" if names else "no model"
        raise BadInput(f"Agreement needs at least two models, got {given}. Name two or more, for example wiener,unet.")
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise BadInput(f"{twice!r} is given twice: every model once. Its agreement with itself is part of the result.")
    return [Member(name, _model(source, name, seed, seeds, store)) for name in names]


def untrained_twins(source: Source, names: Sequence[str], *, store: Store | None = None) -> dict[str, str | None]:
    """`untrained:NAME` of every trained network among the names; None where its architecture is not made here.

    Raises as `find_model`.
    """
    twins: dict[str, str | None] = {}
    for name in names:
        model = None if name.startswith(UNTRAINED) else find_model(source, name, store=store)
        if model is not None and model.spec is None and model.network is not None:
            made_here = model.network.manifest["network"]["name"] in NETWORKS
            twins[name] = f"{UNTRAINED}{name}" if made_here else None
    return twins


def _model(source: Source, name: str, seed: int, seeds: int, store: Store | None) -> Model | Untrained:
    if name.startswith(UNTRAINED):
        return Untrained(_architecture(source, name.removeprefix(UNTRAINED), store), source.shape, seed, seeds)
    return find_model(source, name, store=store)


def _architecture(source: Source, text: str, store: Store | None) -> NetworkSpec:
    trained = [network.name for network in networks_for(source, store=store)]
    name, _ = read(text)
    if text in trained or (text and name not in NETWORKS and Path(text).exists()):
        network = find_network(source, text, store=store)
        kind = network.manifest["network"]["name"]
        if kind not in NETWORKS:
            raise BadInput(f"{UNTRAINED}{text} cannot be made: {kind!r} is no architecture made here. Leave it out.")
        return network_spec(network.manifest["network"], network.folder)
    if name not in NETWORKS:
        raise UnknownName("network to leave untrained", name, {*NETWORKS, *trained})
    return NETWORKS.parse(text)


def facts_of(members: Sequence[Member]) -> list[dict[str, Any]]:
    """The facts of every model; a network's note also says in what it was not trained like the first one."""
    networks = [member.trained for member in members if member.trained is not None]
    found = []
    for member in members:
        facts = member.facts()
        if member.trained is not None and (apart := training_difference(member.trained, networks[0])):
            facts["note"] = " ".join(filter(None, (facts["note"], f"{apart}.")))
        if member.trained is not None and member.trained.note:
            facts["note"] = f"{facts['note']} {member.name}: {member.trained.note}.".strip()
        found.append(facts)
    return found
