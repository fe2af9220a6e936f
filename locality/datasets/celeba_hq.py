"""CelebA-HQ: 30,000 aligned portrait photographs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from locality.datasets.parts.placed import PlacedSet
from locality.datasets.parts.spec import DATASETS, DatasetInfo
from locality.datasets.parts.standins import picture, write_files


@DATASETS.register("celeba_hq")
@dataclass(frozen=True)
class CelebAHQ(PlacedSet):
    """Portraits as folders (CelebAMask-HQ, StarGAN v2) or as a StyleGAN/EDM zip."""

    examples: ClassVar[tuple[str, ...]] = ("celeba_hq",)
    info: ClassVar[DatasetInfo] = DatasetInfo(
        title="CelebA-HQ",
        source="Karras, Aila, Laine, Lehtinen 2018 (arXiv 1710.10196); no official digests: read as found, unverified",
        licence="non-commercial research only, no onward distribution",
        about="Aligned portraits, colour: eyes and mouth are always at the same place, so fields reach across faces.",
    )
    places: ClassVar[tuple[str, ...]] = (
        "celeba_hq",
        "CelebAMask-HQ/CelebA-HQ-img",
        "CelebA-HQ-img",
        "celeba_hq.zip",
        "celebahq-64x64.zip",
    )
    advice: ClassVar[str] = "Get CelebA-HQ from the CelebAMask-HQ or StarGAN v2 project, after reading its terms."

    def stand_in(self, folder: Path) -> CelebAHQ:
        people = {f"train/{('female', 'male')[i % 2]}/{i:05d}.png": picture(i, 40, 40) for i in range(20)}
        held = {f"val/male/{i:05d}.jpg": picture(100 + i, 48, 40, "JPEG") for i in range(4)}
        write_files(folder / self.places[0], people | held)
        return self
