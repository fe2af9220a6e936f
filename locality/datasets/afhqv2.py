"""AFHQv2: 15,803 photographs of cats, dogs and wild animals."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from locality.datasets.parts.placed import PlacedSet
from locality.datasets.parts.spec import DATASETS, DatasetInfo
from locality.datasets.parts.standins import picture, write_zip


@DATASETS.register("afhqv2")
@dataclass(frozen=True)
class AFHQv2(PlacedSet):
    """Animal faces as StarGAN v2's folder or zip (train and test) or as an EDM zip."""

    examples: ClassVar[tuple[str, ...]] = ("afhqv2",)
    info: ClassVar[DatasetInfo] = DatasetInfo(
        title="AFHQv2",
        source="Choi, Uh, Yoo, Ha 2020 (arXiv 1912.01865); no official digests: read as found, unverified",
        licence="CC BY-NC 4.0",
        about="Animal faces, colour: roughly aligned, more varied than portraits of people.",
    )
    places: ClassVar[tuple[str, ...]] = (
        "afhq_v2",
        "afhqv2",
        "afhq_v2.zip",
        "afhqv2.zip",
        "afhqv2-64x64.zip",
    )
    advice: ClassVar[str] = "Get afhq_v2.zip from the StarGAN v2 project."

    def stand_in(self, folder: Path) -> AFHQv2:
        animals = {f"00000/img{i:08d}.png": picture(i, 64, 64) for i in range(25)}
        labels = json.dumps({"labels": [[name, i % 3] for i, name in enumerate(animals)]})
        write_zip(folder / self.places[-1], {**animals, "dataset.json": labels.encode()})
        return self
