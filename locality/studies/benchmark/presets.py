"""Ablations by name: which choice moves R2, and by how much. Each is a baseline and the entries it is compared with.

Published differences between methods are of the size of some of these.
"""

from __future__ import annotations

from dataclasses import dataclass

from locality.datasets import Source
from locality.denoisers.pca_locality import OTHER_TAU, PUBLISHED_TAU
from locality.errors import UnknownName
from locality.studies.benchmark.plan import Entry, parse_entry

_SIZES = (100, 300, 1000, 3000, 10_000, 30_000)  # numbers of training images, as far as there are


@dataclass(frozen=True)
class Preset:
    """One question: groups of entries of which the first is what the others are compared with."""

    name: str
    help: str
    groups: tuple[tuple[str, ...], ...]

    def entries(self, source: Source) -> tuple[tuple[Entry, ...], ...]:
        """The groups as entries; `@first=*` becomes one entry for each number of images below that of the source."""
        return tuple(tuple(_expanded(group, source)) for group in self.groups)


def _variants(model: str, option: str, *values: object) -> tuple[str, ...]:
    """The model as it is, and with each value of an option."""
    return (model, *(f"{model}:{option}={value}" for value in values))


PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "softmax",
            "exact over all images, or normalised in batches and averaged as the released code does",
            (("pca_locality", *(f"pca_locality:softmax=batch,batch_size={b}" for b in (128, 512, 2048, 8192))),),
        ),
        Preset(
            "mask_rule",
            "the mask relative to each coordinate's own weight (the paper), or to the whole matrix (the released code)",
            (_variants("pca_locality", "mask_rule", "code"),),
        ),
        Preset(
            "tau",
            "the threshold of the mask, around the published one",
            (_variants("pca_locality", "tau", 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2),),
        ),
        Preset(
            "temperature",
            "sharper or softer averages",
            tuple(_variants(model, "temperature", 0.5, 2.0, 4.0) for model in ("pca_locality", "optimal")),
        ),
        Preset(
            "windows",
            "how the window of ls follows the noise: from the data, published lists, calibrated on the network, fixed",
            (_variants("ls", "window", "published", "calibrated", 3, 7, 15),),
        ),
        Preset(
            "flips",
            "training images mirrored left to right, or as they are",
            (
                _variants("pca_locality", "flips", "true"),
                _variants("ls", "flips", "true"),
                _variants("pspc_square", "flips", "false"),
            ),
        ),
        Preset(
            "images",
            "the number of training images, as a curve",
            tuple((model, f"{model}@first=*") for model in ("wiener", "optimal", "pca_locality")),
        ),
        Preset(
            "steps",
            "the number of noise levels, for model and network alike",
            tuple((model, *(f"{model}@steps={k}" for k in (5, 20, 40))) for model in ("wiener", "pca_locality")),
        ),
        Preset(
            "clip",
            "estimates clamped to [-1, 1] on the way, or not, for model and network alike",
            tuple((model, f"{model}@clip=false") for model in ("wiener", "pca_locality")),
        ),
    )
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
        elif text not in _published_tau(group[0], source):
            found.append(parse_entry(text))
    return found


def _published_tau(model: str, source: Source) -> tuple[str, ...]:
    """The baseline with the threshold that it has on this dataset anyway, spelt out."""
    return (f"{model}:tau={PUBLISHED_TAU.get(source.name, OTHER_TAU)}",)
