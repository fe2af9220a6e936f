"""Ablations by name: which choice moves R2, and by how much. Each is a baseline and the entries it is compared with.

Published differences between methods are of the size of some of these.
"""

from __future__ import annotations

from dataclasses import dataclass

from locality.datasets import Source
from locality.denoisers import DENOISERS
from locality.errors import UnknownName
from locality.studies.benchmark.competitors import WIENER
from locality.studies.benchmark.plan import Entry, parse_entry
from locality.types import ImageShape

_SIZES = (100, 300, 1000, 3000, 10_000, 30_000)  # numbers of training images, as far as there are


@dataclass(frozen=True)
class Preset:
    """One question: groups of entries of which the first is what the others are compared with."""

    name: str
    help: str

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """Every model that answers it, with its variants; of `paper` the models of the table on 32-pixel images."""
        if self.name == PAPER:
            return (tuple(released_models("cifar10", ImageShape(3, 32, 32)).values()),)
        return tuple((name, *cls.ablations[self.name]) for name, cls in DENOISERS.items() if self.name in cls.ablations)

    def entries(self, source: Source) -> tuple[tuple[Entry, ...], ...]:
        """The groups as entries; `@first=*` becomes one entry for each number of images below that of the source."""
        groups = self.groups
        if self.name == PAPER:
            groups = (tuple(released_models(source.spec.name, source.shape).values()),)
        return tuple(tuple(_expanded(group, source)) for group in groups)


PAPER = "paper"  # no ablation: the models of the published table, the Wiener filter first


def released_models(dataset: str, shape: ImageShape) -> dict[str, str]:
    """Names in published tables -> entries with the settings of the released code, the Wiener filter first."""
    found: dict[str, str] = {}
    for cls in DENOISERS.values():
        found |= cls.released(dataset, shape)
    return dict(sorted(found.items(), key=lambda item: item[1] != WIENER))


_QUESTIONS = {
    PAPER: "the published table: the released code's protocol and settings (linear schedule, ten leading steps, clip, "
    "its mask, softmax in batches, tau of the dataset), our numbers beside theirs and what differs",
    "softmax": "exact over all images, or normalised in batches and averaged as the released code does",
    "mask_rule": "the mask relative to each coordinate's own weight (the paper), or to the whole matrix (the released "
    "code)",
    "tau": "the threshold of the mask, around the published one",
    "temperature": "sharper or softer averages",
    "windows": "how the window follows the noise: from the data, published lists, calibrated on the network, or fixed",
    "flips": "training images mirrored left to right, or as they are",
    "images": "the number of training images, as a curve",
    "steps": "the number of noise levels, for model and network alike",
    "clip": "estimates clamped to [-1, 1] on the way, or not, for model and network alike",
}
_OWN = (name for cls in DENOISERS.values() for name in cls.ablations)  # a plug-in may ask something of its own
PRESETS: dict[str, Preset] = {
    name: Preset(name, _QUESTIONS.get(name, name.replace("_", " "))) for name in dict.fromkeys((*_QUESTIONS, *_OWN))
}


def find_presets(names: tuple[str, ...]) -> list[Preset]:
    """The presets of some names, each once. Raises UnknownName."""
    for name in names:
        if name not in PRESETS:
            raise UnknownName("preset", name, PRESETS)
    return [PRESETS[name] for name in dict.fromkeys(names)]


def _expanded(group: tuple[str, ...], source: Source) -> list[Entry]:
    found: list[Entry] = []
    for text in group:
        if text.endswith("@first=*"):
            model = text.removesuffix("@first=*")
            found += [Entry(model, first=size) for size in _SIZES if size < source.count()]
        elif text == group[0] or not _alike(parse_entry(text), group[0], source):
            found.append(parse_entry(text))
    return found


def _alike(entry: Entry, baseline: str, source: Source) -> bool:
    """Whether a variant is the baseline with what it has on this dataset anyway, spelt out."""
    own, usual = (DENOISERS.parse(text).settled(source.name) for text in (entry.model, baseline))
    return own == usual and entry == Entry(entry.model)
