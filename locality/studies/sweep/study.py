"""A sweep: the fields of the prediction and of trained networks while an edit grows stronger."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from locality.cluster.compute import ClusterCompute
from locality.cluster.here import usual
from locality.cluster.tasks import Errand, in_turn
from locality.datasets import Source
from locality.device import Compute
from locality.edits import EditSpec, PlantedSpec, parse_edit
from locality.errors import DataUnavailable
from locality.fields.mass import MassFractions, mass_fractions
from locality.fields.rows import Linear, NoisyImages
from locality.fields.rows import rows as rows_of
from locality.linear.planted import Planted
from locality.linear.statistics import fit_filter
from locality.linear.wiener import WienerFilter, coordinates
from locality.store import Artifact, Store, default_store
from locality.studies.alike import training_difference
from locality.studies.fields.draws import Draws
from locality.studies.sweep.participants import (
    Members,
    at_strength,
    chance_around,
    mask_of,
    participating_networks,
    pixels_along,
)
from locality.studies.sweep.plan import PREDICTED, Sweep, SweepPlan, row_of
from locality.studies.trained import Trained
from locality.types import Pixel
from locality.work import Progress, finish

MASSES, VERSION = "sweep_masses", 1
Predictor = Callable[[float, Source], Generator[Progress, None, Linear]]
_FACTS = ("dataset", "network", "parameters", "sha256", "images_seen", "minutes", "error_ratio", "command", "versions")


def run_sweep(
    source: Source,
    edit: EditSpec,
    *,
    pixel: Pixel | None = None,
    networks: Sequence[str] | None = None,
    plan: SweepPlan | None = None,
    store: Store | None = None,
    compute: Compute | None = None,
) -> Generator[Progress, None, Sweep]:
    """Mass on the pattern and non-locality against the edit's strength: predicted for all, learned for those trained.

    Args:
        source: the images before the edit. A network is included where it is trained on them edited at a strength;
            at strength 0, which leaves the images, one of the same architecture trained on them as they are does too.
        pixel: whose field is measured; else the mean over `plan.pixels` pixels along the pattern.
        networks: names among those trained on edited images; None for all.

    Memory: the fields of one network, 4 p k hw bytes, beside the statistics of the images (24 d^2 bytes).

    Raises:
        BadInput: an edit without a dial, a strength out of its range, a pixel outside the image.
        UnknownName: a network that is trained at none of the strengths.
        DataUnavailable: a network is included whose fields are not kept, and the images are not on this machine.
    """
    plan, store, compute = plan or SweepPlan(), store or default_store(), compute or usual()
    steps = {strength: at_strength(source, edit, strength) for strength in plan.strengths}
    mask = mask_of(edit, source.shape)
    pixels = [pixel] if pixel is not None else pixels_along(mask, source.shape, plan.pixels)
    for one in pixels:
        coordinates(source.shape, one)
    taking, notes = participating_networks(source, edit, steps, networks, store)
    rows: list[dict[str, Any]] = []
    total, done = float(len(steps) + sum(map(len, taking.values()))), 0
    points = [(strength, "") for strength in steps]
    points += [(strength, name) for strength, members in taking.items() for name, _ in members]
    there: Iterator[MassFractions] | None = None
    if isinstance(compute, ClusterCompute):
        there = _there(source, edit, points, tuple(pixels), plan, networks, store, compute)
    predicted = None if there else (yield from _predictor(source, edit, store, compute))
    for strength, edited in steps.items():
        yield Progress(done, total, f"Predicted fields at strength {strength:g}")
        if predicted is not None:
            masses = yield from _predicted(predicted, strength, edited, pixels, mask, plan, compute)
        elif there is not None:
            masses = next(there)
        rows.append(row_of(PREDICTED, strength, masses.to_json(), None, edit.scaled(strength)))
        done += 1
    for strength, members in taking.items():
        for name, network in members:
            yield Progress(done, total, f"Fields of {name} at strength {strength:g}")
            if there is None:
                masses = _learned(steps[strength], network, pixels, mask, plan, store, compute)
            else:
                masses = next(there)
            rows.append(row_of(name, strength, masses.to_json(), network.folder.name, edit.scaled(strength)))
            done += 1
    facts = [_facts(network) for members in taking.values() for _, network in members]
    notes += _unlike(taking)
    chance = math.nan if mask is None else float(mask.double().mean())
    places = [list(one) for one in pixels]
    return Sweep(
        source.text, edit.text(), plan, places, chance, chance_around(chance, source.shape), rows, facts, notes
    )


def _there(
    source: Source,
    edit: EditSpec,
    points: Sequence[tuple[float, str]],
    pixels: tuple[Pixel, ...],
    plan: SweepPlan,
    networks: Sequence[str] | None,
    store: Store,
    compute: ClusterCompute,
) -> Iterator[MassFractions]:
    """Every point, predicted or of a network by name, as a task of a cluster's workers."""
    errand, wanted = Errand.of(source, store, compute), None if networks is None else tuple(networks)
    return in_turn(compute, _task, [(errand, edit.text(), *point, pixels, plan, wanted) for point in points])


def _task(
    errand: Errand,
    text: str,
    strength: float,
    name: str,
    pixels: tuple[Pixel, ...],
    plan: SweepPlan,
    networks: tuple[str, ...] | None,
) -> MassFractions:
    source, edit, store, compute = errand.source, parse_edit(text), errand.store, errand.compute
    steps, mask = {one: at_strength(source, edit, one) for one in plan.strengths}, mask_of(edit, source.shape)
    edited = steps[strength]
    if not name:
        predicted = finish(_predictor(source, edit, store, compute))
        return finish(_predicted(predicted, strength, edited, pixels, mask, plan, compute))
    taking, _ = participating_networks(source, edit, steps, networks, store)
    network = dict(taking[strength]).get(name)
    if network is None:
        raise DataUnavailable(f"{name} is not trained at strength {strength:g} there. Copy its folder to all machines.")
    return _learned(edited, network, pixels, mask, plan, store, compute)


def _predicted(
    predicted: Predictor,
    strength: float,
    edited: Source,
    pixels: Sequence[Pixel],
    mask: Bool[Tensor, "h w"] | None,
    plan: SweepPlan,
    compute: Compute,
) -> Generator[Progress, None, MassFractions]:
    """Of the filter at a strength."""
    known = rows_of((yield from predicted(strength, edited)), pixels, plan.sigma, _draws(plan, edited, compute))
    return mass_fractions(known, pixels, mask)


def _unlike(taking: Members) -> list[str]:
    """What the networks of one curve differ in beside the strength."""
    curves: dict[str, dict[float, Trained]] = {}
    for strength, members in taking.items():
        for name, network in members:
            curves.setdefault(name, {})[strength] = network
    notes = []
    for name, networks in curves.items():
        start, first = next(iter(networks.items()))
        for strength, network in networks.items():
            if apart := training_difference(network, first):
                ours = apart.split(f", {first.name} ")
                notes.append(f"{name} at strength {strength:g}: {ours[0]}; at {start:g}: {ours[1]}.")
    return notes


def _predictor(source: Source, edit: EditSpec, store: Store, compute: Compute) -> Generator[Progress, None, Predictor]:
    """A function that gives the filter at a strength: from two vectors for a pattern, else one fitted to each set."""
    if not isinstance(edit, PlantedSpec):
        return lambda strength, edited: fit_filter(edited, compute, store)
    base = yield from fit_filter(source, compute, store)
    planted = planted_filter(base, source, edit, store, compute)

    def plant(strength: float, edited: Source) -> Generator[Progress, None, Linear]:
        yield from ()
        return planted.at(strength)

    return plant


def planted_filter(
    base: WienerFilter, source: Source, edit: PlantedSpec, store: Store | None = None, compute: Compute | None = None
) -> Planted:
    """The filter of images with a pattern planted, for every strength; `base` is that of `source`.

    Raises:
        DataUnavailable: the images' covariance with the strengths is not kept, and they are not on this machine.
    """
    edited = source.edited((*source.edits, edit))
    coupling, variance, _ = edit.coupling(edited.stage(len(source.edits), compute, store))
    return Planted(base, edit.weights(source.shape), coupling, variance)


def _learned(
    edited: Source,
    network: Trained,
    pixels: Sequence[Pixel],
    mask: Bool[Tensor, "h w"] | None,
    plan: SweepPlan,
    store: Store,
    compute: Compute,
) -> MassFractions:
    """MassFractions of a network's fields on held-out edited images; kept in the store."""
    key = {
        "weights": network.manifest["sha256"],
        "fingerprint": edited.fingerprint,
        "held_out": edited.base.held_out.fingerprint,
        "mask": None if mask is None else mask.int().flatten().tolist(),
        "pixels": [list(pixel) for pixel in pixels],
        "sigma": plan.sigma,
        "draws": plan.draws,
        "seed": plan.seed,
        "version": VERSION,
    }

    def measure() -> Artifact:
        noisy = _draws(plan, edited, compute)
        rows = rows_of(network.load(compute.device), pixels, plan.sigma, noisy, batch=compute.draws)
        made = mass_fractions(rows, pixels, mask)
        arrays = {"values": torch.tensor(made.values).double(), "stderrs": torch.tensor(made.stderrs).double()}
        return Artifact(arrays, {"draws": made.draws})

    kept = store.cached(MASSES, key, measure)
    values, stderrs = (tuple(kept.arrays[name].tolist()) for name in ("values", "stderrs"))
    return MassFractions(values, stderrs, kept.meta["draws"])


def _draws(plan: SweepPlan, edited: Source, compute: Compute) -> NoisyImages:
    return Draws(plan.draws, plan.seed).of(edited, compute.device)


def _facts(network: Trained) -> dict[str, Any]:
    return {"folder": network.folder.name, **{fact: network.manifest.get(fact) for fact in _FACTS}}
