"""Do different models have similar fields? Fields, estimates and samples of every pair, kept in the store."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from locality.cluster.compute import ClusterCompute
from locality.cluster.here import usual
from locality.datasets import Source
from locality.device import Compute
from locality.errors import BadInput, DataUnavailable
from locality.fields.corrected import variance_weights
from locality.grammar import command, write_list
from locality.linear.correlation import pixel_variance
from locality.store import Artifact, Store, default_store
from locality.store.artifact import canonical
from locality.studies.agreement.asked import fields_there
from locality.studies.agreement.members import Member, facts_of, find_members
from locality.studies.agreement.pairs import compare_fields, compare_outputs, compare_samples
from locality.studies.agreement.plan import Agreement, AgreementPlan, pick_rows, unpack
from locality.studies.fields.tables import pixel_grid
from locality.studies.models import fit_wiener
from locality.studies.shipped import ship, shipped
from locality.types import Pixel
from locality.work import Progress

KIND, VERSION = "agreement", 2


def measure_agreement(
    source: Source,
    names: Sequence[str],
    *,
    plan: AgreementPlan | None = None,
    store: Store | None = None,
    compute: Compute | None = None,
) -> Generator[Progress, None, Agreement]:
    """Compare every pair of models: fields over a grid of pixels, estimates and samples.

    Args:
        names: what `find_model` takes, or `untrained:NAME` for a network as it starts (see `find_members`).
    Memory: `Compute.memory` bounds the fields, 64 n (draws + 3) hw bytes per pixel of a chunk; all n models are
    open at once. The chunk never changes the result. A backward pass per pixel, noise level, draw and network.

    Raises:
        BadInput: fewer than two names, one twice, a step that leaves fewer than two pixels, more outputs than
            there are held-out images; or as `find_model`.
        UnknownName, DataUnavailable, CheckpointMismatch, NonFinite: as `find_model` and opening a model.
        TooLarge: one pixel's fields do not fit the memory budget.
    """
    plan, store, compute = plan or AgreementPlan(), store or default_store(), compute or usual()
    members = find_members(source, names, plan.seed, seeds=plan.seeds, store=store)
    pixels = _pixels(source, plan)
    found = _kept(source, members, plan, store)
    if found is not None:
        return found
    if plan.outputs > len(source.held_out):
        have = f"{source.text} has {len(source.held_out)} held-out images"
        raise BadInput(f"outputs={plan.outputs}: {have}. Give 0..{len(source.held_out)}.")
    wiener = yield from fit_wiener(source, store=store, compute=compute)
    share = variance_weights(pixel_variance(wiener), pixels, source.shape)
    every = []
    for member in members:
        every.append((yield from member.open_all(store=store, compute=compute)))
    # The fields, by far the longest part, fill the bar first; each part tells its own share.
    ask = None
    if isinstance(compute, ClusterCompute):
        ask = partial(fields_there, source, members, plan=plan, store=store, compute=compute)
    arrays = yield from compare_fields(source, every, plan, pixels, share, compute, ask)
    denoisers = [denoisers[0] for denoisers in every]
    if plan.outputs:
        arrays |= yield from compare_outputs(source, denoisers, plan, compute)
    if plan.samples:
        arrays |= yield from compare_samples(source, denoisers, plan, compute)
    meta = {"pixels": [list(pixel) for pixel in pixels], "held_out": source.held_out.fingerprint}
    kept = Artifact(arrays, {**meta, "weights": share.tolist()})
    made = unpack(kept, source.text, plan, facts_of(members))
    store.put(KIND, *_packed(members, made))
    return made


def found_agreement(
    source: Source, names: Sequence[str], *, plan: AgreementPlan | None = None, store: Store | None = None
) -> Agreement | None:
    """The kept study of these models, None where there is none: nothing is computed. Raises as `find_members`.

    A shipped study of these and more models is an answer too, and one whose draws are other held-out images
    of the dataset (`held_out` tells): where the images are not on this machine there is no other.
    """
    plan, store = plan or AgreementPlan(), store or default_store()
    members = find_members(source, names, plan.seed, seeds=plan.seeds, store=store)
    return _kept(source, members, plan, store) or _shipped(source, members, plan, store)


def ship_agreement(source: Source, made: Agreement, folder: Path, *, store: Store | None = None) -> Path:
    """Write a study to a folder of shipped files as agreement/DATASET; returns the payload's path."""
    plan = made.plan
    members = find_members(source, made.names, plan.seed, seeds=plan.seeds, store=store)
    counts = ("step", "draws", "seed", "seeds", "outputs", "samples", "steps")
    words = ["agreement", *source.words, "--networks", write_list(made.names)]
    words += [word for name in counts for word in (f"--{name}", getattr(plan, name))]
    words += ["--single"] if plan.single else []
    words += [] if plan.sigmas == AgreementPlan().sigmas else ["--sigmas", ",".join(map(repr, plan.sigmas))]
    about = {"models": made.names, "command": command(*words, "--ship", "cache/shipped")}
    return ship(source, source.slug, KIND, *_packed(members, made), about, folder, store=store)


def _pixels(source: Source, plan: AgreementPlan) -> list[Pixel]:
    pixels = pixel_grid(source.shape, plan.step)
    if len(pixels) < 2:
        raise BadInput(f"step={plan.step} leaves one pixel of {source.shape} images: the chance level needs two.")
    return pixels


def _order(members: Sequence[Member]) -> list[int]:
    """The order in which a study is kept, whatever order it was asked for in."""
    return sorted(range(len(members)), key=lambda i: canonical(members[i].key()))


def _key(members: Sequence[Member], plan: AgreementPlan, held_out: str) -> dict[str, Any]:
    models = [members[i].key() for i in _order(members)]
    return {"models": models, "plan": plan.key(), "held_out": held_out, "version": VERSION}


def _packed(members: Sequence[Member], made: Agreement) -> tuple[dict[str, Any], Artifact]:
    """Key and artefact of a study: names are no part of either."""
    order = _order(members)
    arrays = {name: pick_rows(name, array, order) for name, array in made.arrays().items()}
    return _key(members, made.plan, made.held_out), Artifact(arrays, made.meta())


def _kept(source: Source, members: Sequence[Member], plan: AgreementPlan, store: Store) -> Agreement | None:
    """The study of exactly these models and held-out images; None where the images are not known."""
    try:
        held_out = source.held_out.fingerprint if source.available else source.known_fingerprint("test")
    except DataUnavailable:
        return None
    key = _key(members, plan, held_out)
    kept = store.get(KIND, key)
    return None if kept is None else _named(source, members, plan, kept, key)


def _shipped(source: Source, members: Sequence[Member], plan: AgreementPlan, store: Store) -> Agreement | None:
    """A shipped study with all of these models in it."""
    wanted = {canonical(member.key()) for member in members}

    def answers(manifest: Mapping[str, Any]) -> bool:
        key = manifest["key"]
        same = {**_key(members, plan, key["held_out"]), "models": key["models"]}
        return wanted <= {canonical(model) for model in key["models"]} and canonical(same) == canonical(key)

    found = shipped(KIND, where=answers, store=store)
    return next((_named(source, members, plan, kept, key) for key, kept in found), None)


def _named(
    source: Source, members: Sequence[Member], plan: AgreementPlan, kept: Artifact, key: Mapping[str, Any]
) -> Agreement:
    """A kept study for these models, in their order and under their names."""
    places = [canonical(model) for model in key["models"]]
    rows = [places.index(canonical(member.key())) for member in members]
    arrays = {name: pick_rows(name, array, rows) for name, array in kept.arrays.items()}
    return unpack(Artifact(arrays, kept.meta), source.text, plan, facts_of(members))
