"""CelebA-HQ: 30,000 aligned portrait photographs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from locality.datasets.parts.placed import PlacedSet
from locality.datasets.parts.spec import DATASETS, DatasetInfo


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
