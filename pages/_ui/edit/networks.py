"""The networks whose fields stand beside the prediction: trained on edited images, and their twins on plain ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from locality.datasets import Source
from locality.edits import EditSpec
from locality.networks import NETWORKS
from locality.store.artifact import Artifact
from locality.studies import Trained, trained_networks, trained_on_edit
from pages._ui import cached
from pages._ui.architectures.entries import COLOURS
from pages._ui.explorer import files


@dataclass(frozen=True, eq=False)
class Family:
    """One architecture by the name it has among networks of edited images: `before` was trained on plain ones."""

    name: str
    title: str
    colour: str
    before: Trained | None
    after: list[tuple[float, Trained]]

    def nearest(self, level: float) -> tuple[float, Trained] | None:
        """The network trained nearest to a strength."""
        return min(self.after, key=lambda one: abs(one[0] - level), default=None)


def families(source: Source, before: Source, edit: EditSpec) -> list[Family]:
    """Networks trained on `before` with the edit at whatever strength, by name, those with most strengths first."""
    by_name: dict[str, list[tuple[float, Trained]]] = {}
    for level, network in trained_on_edit(before, edit):
        by_name.setdefault(network.name, []).append((level, network))
    plain = list({network.name: network for network in trained_networks(source.text)}.values())
    found = []
    for place, (name, trained) in enumerate(sorted(by_name.items(), key=_first)):
        kind = trained[0][1].manifest["network"]
        same = [network for network in plain if network.manifest["network"] == kind]
        unmoved = [network for level, network in trained if level == 0.0]  # on the images as they are, by that name
        after = [(level, network) for level, network in trained if level != 0.0]
        title, colour = look(name, place)
        found.append(Family(name, title, colour, next(iter([*unmoved, *same]), None), after))
    return found or _untouched(plain, source)


def _untouched(plain: Sequence[Trained], source: Source) -> list[Family]:
    """Networks of the images as they are, where none knows the edit: first those with a twin that knows another."""
    twins = [
        one.manifest["network"] for one in trained_networks() if _base_of(one) == source.base.text and one not in plain
    ]
    ordered = sorted(plain, key=lambda network: network.manifest["network"] not in twins)
    return [Family(one.name, *look(one.name, place), one, []) for place, one in enumerate(ordered)]


def _base_of(network: Trained) -> str:
    return network.dataset.partition("+")[0]


def look(name: str, place: int) -> tuple[str, str]:
    """Title and colour of a network, the same in every chart; `place` tells those apart that have no title."""
    inks = dict(zip(NETWORKS.listed(), COLOURS[:-1], strict=False))  # one ink at least is for those without a title
    others = COLOURS[len(inks) :]
    title = NETWORKS[name].heading if name in NETWORKS else name
    return title, inks.get(name, others[place % len(others)])


def _first(item: tuple[str, list[tuple[float, Trained]]]) -> tuple[int, str]:
    name, after = item
    return -len(after), name


def reported(family: Family, source: Source) -> dict[str, Any]:
    """What the browser knows of a family: where stored fields are, and at which strength each was trained."""
    after = [{"level": level, "title": f"trained at {level:g}", **_stored(network)} for level, network in family.after]
    before = None if family.before is None else {"title": "", **_stored(family.before)}
    return {"id": family.name, "title": family.title, "colour": family.colour, "before": before, "after": after}


def stored(network: Trained) -> Artifact | None:
    """The stored fields of a network, if there are any."""
    table: Artifact | None = cached.hover_table(str(network.manifest["sha256"]), network)
    return table


def _stored(network: Trained) -> dict[str, Any]:
    table = stored(network)
    return {"url": None if table is None else files.learned_address(str(network.manifest["sha256"]), table)}
