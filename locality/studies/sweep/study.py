"""A sweep: the fields of the prediction and of trained networks while an edit grows stronger."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from locality.datasets import Source
from locality.device import Compute
from locality.edits import EditSpec, MaskedSpec, Pattern
from locality.errors import UnknownName
from locality.fields.jacobian import draw_inputs, pixel_outputs
from locality.fields.mass import MassFractions, mass_fractions_of_draws, mass_fractions_of_rows
from locality.linear.planted import Planted
from locality.linear.statistics import fit_filter
from locality.linear.wiener import WienerFilter, coordinates
from locality.store import Artifact, Store, default_store
from locality.studies.fields.draws import Draws
from locality.studies.fields.tables import summed_fields
from locality.studies.models import Trained, trained_networks
from locality.studies.sweep.plan import PREDICTED, Sweep, SweepPlan, row_of
from locality.types import ImageShape, Pixel
from locality.work import Progress

MASSES, VERSION = "sweep_masses", 1
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
        source: the images before the edit. A network takes part where it is trained on them edited at a strength;
            at strength 0, which leaves the images, one of the same architecture trained on them as they are does too.
        pixel: whose field is measured; else the mean over `plan.pixels` pixels along the pattern.
        networks: names among those trained on edited images; None for all.

    Memory: the fields of one network, 4 p k hw bytes, beside the statistics of the images (24 d^2 bytes).

    Raises:
        BadInput: an edit without a dial, a strength out of its range, a pixel outside the image.
        UnknownName: a network that is trained at none of the strengths.
        DataUnavailable: a network takes part whose fields are not kept, and the images are not on this machine.
    """
    plan, store, compute = plan or SweepPlan(), store or default_store(), compute or Compute()
    steps = {strength: at_strength(source, edit, strength) for strength in plan.strengths}
    mask = mask_of(edit, source.shape)
    pixels = [pixel] if pixel is not None else pixels_along(mask, source.shape, plan.pixels)
    for one in pixels:
        coordinates(source.shape, one)
    taking, notes = participating_networks(source, edit, steps, networks, store)
    rows: list[dict[str, Any]] = []
    total, done = float(len(steps) + sum(map(len, taking.values()))), 0
    predict = yield from _predictor(source, edit, plan, store, compute)
    for strength, edited in steps.items():
        yield Progress(done, total, f"Predicted fields at strength {strength:g}")
        fields = yield from predict(strength, edited, pixels)
        masses = mass_fractions_of_rows(fields, pixels, source.shape, mask)
        rows.append(row_of(PREDICTED, strength, masses.to_json(), None, edit.scaled(strength)))
        done += 1
    for strength, members in taking.items():
        for name, network in members:
            yield Progress(done, total, f"Fields of {name} at strength {strength:g}")
            masses = _learned(steps[strength], network, pixels, mask, plan, store, compute)
            rows.append(row_of(name, strength, masses.to_json(), network.folder.name, edit.scaled(strength)))
            done += 1
    facts = [_facts(network) for members in taking.values() for _, network in members]
    chance = math.nan if mask is None else float(mask.double().mean())
    return Sweep(source.text, edit.text(), plan, [list(one) for one in pixels], chance, rows, facts, notes)


def at_strength(source: Source, edit: EditSpec, strength: float) -> Source:
    """The images with the edit at a strength; at 0 as they are. Raises BadInput."""
    scaled = edit.scaled(strength)
    return source.edited((*source.edits, scaled)) if strength else source


def mask_of(edit: EditSpec, shape: ImageShape) -> Bool[Tensor, "h w"] | None:
    """The pixels of an edit that has a mask."""
    return edit.pattern(shape) != 0 if isinstance(edit, MaskedSpec) else None


def pixels_along(mask: Bool[Tensor, "h w"] | None, shape: ImageShape, count: int) -> list[Pixel]:
    """Up to `count` pixels of a mask, evenly spaced in reading order; without one the middle of the image."""
    if mask is None:
        return [Pixel((shape.h - 1) // 2, (shape.w - 1) // 2)]
    places = torch.nonzero(mask).tolist()
    count = min(count, len(places))
    return [Pixel(*places[(2 * i + 1) * len(places) // (2 * count)]) for i in range(count)]


Members = dict[float, list[tuple[str, Trained]]]


def participating_networks(
    source: Source, edit: EditSpec, steps: dict[float, Source], wanted: Sequence[str] | None, store: Store
) -> tuple[Members, list[str]]:
    """The networks trained at each strength, by name, and notes on those that lack one.

    Raises:
        UnknownName: a wanted network is trained at none of the strengths.
    """
    trained = {c: trained_networks(edited.text, store=store) for c, edited in steps.items()}
    plain = {c for c, edited in steps.items() if edited.edits == source.edits}
    unmoved = trained_networks(source.edited((*source.edits, edit.scaled(0.0))).text, store=store) if plain else []
    kinds = {network.name: network.manifest["network"] for c in steps if c not in plain for network in trained[c]}
    missing = next((name for name in wanted or () if name not in kinds), None)
    if missing is not None:
        raise UnknownName(f"network trained on edited {source.text} images", missing, kinds)
    kinds = {name: kind for name, kind in sorted(kinds.items()) if wanted is None or name in wanted}
    found: Members = {}
    notes = []
    for c in steps:
        found[c] = []
        for name, kind in kinds.items():
            match = [one for one in (unmoved if c in plain else trained[c]) if one.name == name]
            match += [one for one in trained[c] if c in plain and one.manifest["network"] == kind]
            if match:
                found[c].append((name, match[0]))
            elif c in plain:
                notes.append(f"{name}: no network of its architecture is trained on the images as they are.")
    return found, notes


def _predictor(
    source: Source, edit: EditSpec, plan: SweepPlan, store: Store, compute: Compute
) -> Generator[Progress, None, Any]:
    """A function that gives predicted fields at a strength: from two vectors for a pattern, else a filter each."""
    if not isinstance(edit, Pattern):

        def fit(strength: float, edited: Source, pixels: Sequence[Pixel]) -> Generator[Progress, None, Tensor]:
            wiener = yield from fit_filter(edited, compute, store)
            return _rows(wiener, pixels, source.shape, lambda coords: wiener.rows(coords, plan.sigma))

        return fit
    base = yield from fit_filter(source, compute, store)
    planted = planted_filter(base, source, edit, store, compute)

    def plant(strength: float, edited: Source, pixels: Sequence[Pixel]) -> Generator[Progress, None, Tensor]:
        yield from ()
        return _rows(base, pixels, source.shape, lambda coords: planted.rows(coords, plan.sigma, strength))

    return plant


def planted_filter(
    base: WienerFilter, source: Source, edit: Pattern, store: Store | None = None, compute: Compute | None = None
) -> Planted:
    """The filter of images with a pattern planted, for every strength; `base` is that of `source`.

    Raises:
        DataUnavailable: the images' covariance with the strengths is not kept, and they are not on this machine.
    """
    edited = source.edited((*source.edits, edit))
    coupling, variance, _ = edit.coupling(edited.stage(len(source.edits), compute, store))
    return Planted(base, edit.weights(source.shape), coupling, variance)


def _rows(wiener: WienerFilter, pixels: Sequence[Pixel], shape: ImageShape, rows: Any) -> Float[Tensor, "p hw"]:
    """Fields of pixels, summed over output and input channels."""
    coords = torch.cat([coordinates(shape, pixel) for pixel in pixels])
    summed: Float[Tensor, "p hw"] = rows(coords).reshape(len(pixels), shape.c, shape.c, -1).sum(dim=(1, 2))
    return summed


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
        x0 = Draws(plan.draws, plan.seed).images(edited).to(compute.device)
        x = draw_inputs(x0, plan.sigma, plan.seed)
        outputs = torch.cat([pixel_outputs(edited.shape, pixel) for pixel in pixels])
        fields = summed_fields(network.load(compute.device), x, outputs, plan.sigma, compute.draws).float().cpu()
        made = mass_fractions_of_draws(fields, pixels, edited.shape, mask)
        arrays = {"values": torch.tensor(made.values).double(), "stderrs": torch.tensor(made.stderrs).double()}
        return Artifact(arrays, {"draws": made.draws})

    kept = store.cached(MASSES, key, measure)
    values, stderrs = (tuple(kept.arrays[name].tolist()) for name in ("values", "stderrs"))
    return MassFractions(values, stderrs, kept.meta["draws"])


def _facts(network: Trained) -> dict[str, Any]:
    return {"folder": network.folder.name, **{fact: network.manifest.get(fact) for fact in _FACTS}}
