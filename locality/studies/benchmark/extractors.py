"""The extractors a benchmark compares samples by: found before the work, opened when they are needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from locality.datasets import Source
from locality.errors import DataUnavailable
from locality.features import (
    INCEPTION_FILE,
    Features,
    PixelFeatures,
    find_classifier,
    inception_features,
    load_classifier,
    read_classifier,
)
from locality.store import Store
from locality.studies.benchmark.plan import BenchPlan

INCEPTION, PIXELS = "inception", "pixels"


@dataclass(frozen=True, eq=False)
class Extractor:
    """An extractor by its name in the rows and its key in the store."""

    name: str
    key: dict[str, Any]
    open: Callable[[str], Features]  # of a device

    @property
    def is_inception(self) -> bool:
        return self.name == INCEPTION

    @property
    def is_pixels(self) -> bool:
        return self.name == PIXELS


def find_extractors(
    source: Source, plan: BenchPlan, store: Store, inception: Path | None = None, classifier: Path | None = None
) -> tuple[list[Extractor], list[str]]:
    """The extractors of a plan, and what must be said where one is missing.

    A missing classifier is noted, unless nothing else was asked for or its folder was given. Inception's file is
    looked for when it is opened.

    Raises:
        DataUnavailable, BadInput: no classifier where one is needed, or one that does not fit.
    """
    found, notes, names = [], [], plan.extractors()
    for name in names:
        if name == INCEPTION:
            key = {"features": INCEPTION, "sha256": INCEPTION_FILE.sha256}
            found.append(Extractor(INCEPTION, key, lambda device: inception_features(source.shape, inception, device)))
        elif name == PIXELS:
            found.append(Extractor(PIXELS, PixelFeatures().key(), lambda device: PixelFeatures()))
        else:
            try:
                folder = find_classifier(source, store, classifier)
            except DataUnavailable as error:
                if len(names) == 1:
                    raise
                notes.append(f"Samples are compared without a classifier. {error}")
                continue
            found.append(_classifier(folder))
    return found, notes


def _classifier(folder: Path) -> Extractor:
    manifest = read_classifier(folder)
    key = {"features": "classifier", "sha256": manifest.get("sha256")}
    return Extractor(f"{manifest['dataset']} classifier", key, lambda device: load_classifier(folder, device))
