"""What must be said of the rows of a benchmark and of all of it: fewer images, other training, flips, few images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from locality.datasets import Source
from locality.networks import UNKNOWN
from locality.studies.alike import training_difference, unmirrored
from locality.studies.benchmark.competitors import Competitor
from locality.studies.benchmark.plan import BenchPlan
from locality.studies.models import Model
from locality.studies.trained import Trained


def network_notes(network: Trained, whole: Source) -> list[str]:
    """What must be said of a network that takes part in a benchmark of these images."""
    said = [network.note] if network.note else []
    if network.dataset == UNKNOWN:
        return [*said, "a checkpoint made elsewhere: which images it was trained on is not known"]
    if warning := network.warning(whole):
        return [*said, warning.removeprefix(f"{network.name} was ").removesuffix(".")]
    seen = network.manifest.get("fingerprint")
    if seen is not None and seen != whole.fingerprint:
        return [*said, f"trained on other images than the {whole.count():,} training images here"]
    return said


def model_notes(model: Model, whole: Source) -> list[str]:
    """What keeps an analytic model from being exact over all training images; [] for nothing."""
    assert model.spec is not None
    seen, every = model.source.count(), whole.count()
    part = [f"fitted to the first {seen:,} of {every:,} training images"] if seen < every else []
    return part + model.spec.approximations(seen)


def plan_notes(source: Source, plan: BenchPlan) -> list[str]:
    """What must be said of the whole table."""
    notes, count, held_out = [], plan.count, len(source.held_out)
    if count == 1:
        notes.append("One image: nothing has an error bar. Draw at least two, better 128.")
    elif count < 128:
        notes.append(f"{count} images: differences are often smaller than the errors. Tables use at least 128.")
    if held_out < count:
        notes.append(f"{source.text} has {held_out} held-out images: denoise_ratio and the control use them.")
    return notes


def compared(competitor: Competitor, reference: Competitor) -> Competitor:
    """A trained network with a note on how its training differs from the reference's."""
    assert reference.model is not None
    ours, theirs = competitor.model, reference.model.network
    if ours is None or ours.spec is not None or ours.network is None or theirs is None:
        return competitor
    apart = training_difference(ours.network, theirs)
    return replace(competitor, notes=(*competitor.notes, apart)) if apart else competitor


def flip_notes(reference: Competitor, competitors: Sequence[Competitor]) -> list[str]:
    """Whether the network saw mirrored images and the models did not."""
    assert reference.model is not None
    specs = {one.name: one.model.spec for one in competitors if one.model is not None and one.model.spec is not None}
    network = reference.model.network
    return [note] if network is not None and (note := unmirrored(network, specs)) else []
