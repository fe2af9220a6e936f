"""Finding all competitors: every mistake in a plan is reported here, before any work."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from locality.datasets import Source
from locality.denoisers import DENOISERS
from locality.errors import BadInput, DataUnavailable, LocalityError, UnknownName
from locality.networks import UNKNOWN
from locality.store import Store
from locality.studies.alike import TWIN, twin_command
from locality.studies.benchmark.competitors import (
    ANALYTIC,
    CONTROL,
    HELD_OUT,
    MEAN,
    NETWORK,
    REFERENCE,
    SECOND,
    WIENER,
    Competitor,
    Group,
    Setup,
)
from locality.studies.benchmark.plan import AUTO, NONE, BenchPlan, Entry
from locality.studies.benchmark.presets import find_presets
from locality.studies.benchmark.said import compared, flip_notes, model_notes, network_notes, plan_notes
from locality.studies.benchmark.sampling import SamplingConfig
from locality.studies.edited import trained_on_these
from locality.studies.models import Model, find_model
from locality.studies.trained import Trained, networks_for, trained_networks


def enter(source: Source, plan: BenchPlan, store: Store) -> Setup:
    """Find all competitors; every mistake is reported here, before any work.

    Raises:
        DataUnavailable: the images are not on this machine, or no network is trained on them.
        UnknownName, BadInput: a model, reference, second network or preset that does not exist, was trained on another
            set or shape, or an entry that cannot be.
    """
    if not source.available:
        raise DataUnavailable(f"The {source.text} images are not on this machine. {source.missing()}")
    _ = source.train  # asking for more images than there are (--first) is reported first
    whole = source if source.first is None else replace(source, first=None)
    entering = _Entering(source, whole, plan, store)
    reference = entering.network(plan.reference, REFERENCE, "--reference")
    second, notes = entering.second(reference)
    groups, chosen = entering.presets(notes)
    entries = entering.with_unlabelled([Entry(WIENER), Entry(MEAN), *plan.entries(), *chosen])
    competitors = [entering.competitor(entry, reference) for entry in dict.fromkeys(entries)]
    if second is not None:
        competitors = [e for e in competitors if not (e.kind == NETWORK and e.key == second.key)] + [second]
    competitors = [compared(competitor, reference) for competitor in competitors]
    control = Competitor(HELD_OUT, CONTROL, reference.sampling, source, None)
    notes += plan_notes(source, plan) + flip_notes(reference, competitors)
    return Setup(source, whole, plan, reference, tuple(competitors), control, tuple(groups), tuple(notes))


@dataclass(frozen=True, eq=False)
class _Entering:
    source: Source
    whole: Source
    plan: BenchPlan
    store: Store

    def network(self, text: str, kind: str, option: str) -> Competitor:
        """A trained network as reference or second network, by the name or path it is asked for."""
        if text.partition(":")[0] in DENOISERS:
            known = [network.name for network in networks_for(self.source, store=self.store)]
            raise BadInput(
                f"{option} {text!r} is an analytic model; a trained network is needed. "
                f"Trained on {self.source.text}: {', '.join(known) or 'none'}; or give a checkpoint's folder."
            )
        model = find_model(self.source, text, store=self.store)
        assert model.network is not None
        self.check_dataset(model.network, text)
        sampling = SamplingConfig(self.plan.steps, True, self.plan.seed)
        return Competitor(text, kind, sampling, self.whole, model, tuple(network_notes(model.network, self.whole)))

    def check_dataset(self, network: Trained, text: str) -> None:
        if network.dataset not in (self.source.text, UNKNOWN) and not network.is_of_variant(self.source):
            raise BadInput(
                f"{text} was trained on {network.dataset}, not on {self.source.text}: it explains nothing here. "
                f"Give a network trained on {self.source.text}, or run the benchmark of {network.dataset}."
            )

    def second(self, reference: Competitor) -> tuple[Competitor | None, list[str]]:
        """The second network; with "auto" the other one with the lowest held-out error."""
        text = self.plan.ceiling
        if text == NONE:
            return None, []
        if text != AUTO:
            found = self._asked(text, reference)
            if found.key == reference.key:
                raise BadInput(f"--second {text!r} is the reference itself. Give another network, or none.")
            return found, []
        for network in sorted(trained_on_these(self.whole, store=self.store), key=_mean_ratio):
            found = self.named(network)
            if found.key != reference.key:
                return found, []
        return None, [f"No second network is trained on {self.source.text}: the table has none."]

    def _asked(self, text: str, reference: Competitor) -> Competitor:
        """The second network of a name; where it is the reference's twin, and not there, with the way to it."""
        try:
            return self.network(text, SECOND, "--second")
        except UnknownName:
            assert reference.model is not None
            known = reference.model.network
            if text != f"{reference.name}{TWIN}" or known is None or "command" not in known.manifest:
                raise
        raise BadInput(
            f"--second {text}: no such network is here. It is {reference.name}'s training from another seed: "
            f"{twin_command(self.source, known)}. Or give --second auto, the best of the others, or none."
        )

    def named(self, network: Trained) -> Competitor:
        """A network of this dataset, by its name; one of these images under another name, by its architecture."""
        listed = network.dataset == self.whole.text
        taken = {one.name for one in trained_networks(self.whole.text, store=self.store)}
        named = network.folder.name if network.architecture in taken else network.architecture
        name = network.name if listed else named
        sampling = SamplingConfig(self.plan.steps, True, self.plan.seed)
        notes = (
            network_notes(network, self.whole) if listed else [f"trained on {network.dataset}, which leaves the images"]
        )
        return Competitor(name, SECOND, sampling, self.whole, Model(self.whole, None, network), tuple(notes))

    def competitor(self, entry: Entry, reference: Competitor) -> Competitor:
        """A model with its settings."""
        source = self._source(entry)
        model = find_model(source, entry.model, store=self.store)
        if model.spec is None:
            assert model.network is not None
            self.check_dataset(model.network, entry.model)
            if model.key() == reference.key:
                raise BadInput(f"--model {entry.model!r} is the reference itself. Leave it out.")
            if entry.first is not None:
                raise BadInput(f"--model {str(entry)!r}: a trained network has its images already. Leave out @first.")
        else:
            model.spec.check(source.name, source.shape)  # reported now, not in the middle of the work
        sampling = SamplingConfig(entry.steps or self.plan.steps, entry.clip is not False, self.plan.seed)
        kind = ANALYTIC if model.spec is not None else NETWORK
        known = model.network if model.spec is None else None
        notes = model_notes(model, self.whole) if known is None else network_notes(known, self.whole)
        return Competitor(str(entry), kind, sampling, source if known is None else self.whole, model, tuple(notes))

    def with_unlabelled(self, entries: list[Entry]) -> list[Entry]:
        """The entries, each that uses labels followed by the same without: what labels give is no merit of a model."""
        found = []
        for entry in entries:
            found.append(entry)
            spec = find_model(self.source, entry.model, store=self.store).spec
            if spec is not None and (plain := spec.unlabelled()) is not None:
                found.append(replace(entry, model=plain.text()))
        return found

    def _source(self, entry: Entry) -> Source:
        if entry.first is None or entry.first == self.source.count():
            return self.source
        if entry.first > self.source.count():
            raise BadInput(
                f"--model {str(entry)!r}: {self.source.text} has {self.source.count():,} training images here. "
                f"Give first=2..{self.source.count()}."
            )
        return replace(self.source, first=entry.first)

    def presets(self, notes: list[str]) -> tuple[list[Group], list[Entry]]:
        """Groups and entries of the presets; what cannot be on this dataset is left out, and noted."""
        groups, entries = [], []
        for preset in find_presets(self.plan.presets):
            for group in preset.entries(self.source):
                kept = [entry for entry in group if self._possible(entry, preset.name, notes)]
                if group[0] in kept and len(kept) > 1:
                    groups.append(Group(preset.name, str(kept[0]), tuple(map(str, kept[1:]))))
                    entries += kept
        return groups, entries

    def _possible(self, entry: Entry, preset: str, notes: list[str]) -> bool:
        try:
            spec = find_model(self.source, entry.model, store=self.store).spec
            if spec is not None:
                spec.check(self.source.name, self.source.shape)
        except LocalityError as error:
            notes.append(f"Preset {preset} without {entry}: {error}")
            return False
        return True


def _mean_ratio(network: Trained) -> float:
    """Geometric mean over the noise levels of its held-out error in units of Wiener's; infinite where not measured."""
    ratios = [float(ratio) for ratio in (network.manifest.get("error_ratio") or {}).values()]
    return math.prod(ratios) ** (1 / len(ratios)) if ratios else math.inf
