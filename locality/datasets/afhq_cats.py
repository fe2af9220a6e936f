"""AFHQ's cats: 5,153 aligned photographs, 64x64 or averaged to 32x32 colour, in one zip of PNG files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from locality.dataset import Dataset
from locality.datasets.parts.excerpt import shipped_excerpt
from locality.datasets.parts.files import find_file
from locality.datasets.parts.spec import DATASETS, DatasetInfo, DatasetSpec, Split
from locality.errors import BadInput, DataUnavailable, DigestMismatch
from locality.pictures.decode import Request
from locality.pictures.kept import obtain
from locality.specs import param
from locality.store.atomic import sha256_of
from locality.types import ImageShape, Pixel

ZIP = "afhq_cat_64.zip"
_PLACES = (ZIP, f"afhq/{ZIP}", f"afhq_cats/{ZIP}")
_SIZE, _SHA256 = 44_474_569, "83102288cc04b3f93e97635911ba4afed307bcc315846e865a7d01b7291c11f6"
_SIDE = 64
_COUNT = 5153
_HELD_OUT = 500  # the last names in sorted order
_EYES = {
    32: {"left eye": (16, 11), "right eye": (16, 20)},
    64: {"left eye": (32, 22), "right eye": (32, 41)},
}
_KNOWN = {
    32: {
        "train": "990f63e8103059d38459ccc0abc6543c74095b97aee2a6cb0bec454a94ad49be",
        "test": "59cc6e0f0a022182378dcaeee4d6dde6a6167bfa3fd046b969fd8badfe5d91f2",
    },
    64: {
        "train": "73e9f9fa9f98d452e7a60c04c264e80a5a442be94d277404aefaf6531267b8f8",
        "test": "ae53cbf54e8e2da2d5532febf2800f56d7009faaca57eb1a8df4f5dde5225c1d",
    },
}


@DATASETS.register("afhq_cats")
@dataclass(frozen=True)
class AfhqCats(DatasetSpec):
    """The cats of AFHQ (its first version): 4,653 training photographs, the last 500 by name held out.

    At 32 pixels every value is the mean of 2x2, to the nearest whole number and halves to the even one,
    which shifts no mean.
    """

    resolution: int = param(32, help="Side of an image.", choices=(32, 64), unit="pixels")

    info: ClassVar[DatasetInfo] = DatasetInfo(
        title="AFHQ cats",
        source="Choi, Uh, Yoo, Ha, StarGAN v2, CVPR 2020 (arXiv 1912.01865), AFHQ by NAVER Corp.",
        licence="CC BY-NC 4.0",
        about="Aligned photographs of cats, colour: one eye predicts the other, so fields are non-local.",
        passes_on=True,
        licence_url="https://creativecommons.org/licenses/by-nc/4.0/",
        changes="512x512 pixels averaged to 64x64, or further to 32x32",
    )
    examples: ClassVar[tuple[str, ...]] = ("afhq_cats", "afhq_cats:resolution=64")
    excerpt: ClassVar[int] = 48
    telling_sigma: ClassVar[float] = 1.2  # where the field of one eye holds the other
    telling_image: ClassVar[int] = 25  # black, its yellow eyes where eyes are on average
    look: ClassVar[str] = "an eye"
    fingerprints: ClassVar[dict[str, str]] = _KNOWN[32]

    @property
    def shape(self) -> ImageShape:
        return ImageShape(3, self.resolution, self.resolution)

    def count(self, split: Split = "train") -> int:
        """Number of images; 48 held-out ones where only those of the repository are on this machine."""
        if split == "train":
            return _COUNT - _HELD_OUT
        part = None if find_file(_PLACES) else shipped_excerpt(self)
        return _HELD_OUT if part is None else len(part)

    def missing(self) -> str:
        if find_file(_PLACES):
            return ""
        return (
            f"Its images are read from {ZIP} under LOCALITY_DATA: the 5,153 cats of AFHQ's train folder, averaged "
            "to 64x64 PNG. AFHQ (CC BY-NC 4.0) comes from the StarGAN v2 project; its own folder of cats can be read "
            "as it is: folder:path=afhq/train/cat,resolution=64."
        )

    def landmarks(self) -> dict[str, Pixel]:
        """The eyes, left and right in the picture, as they lie in the mean of the training photographs."""
        return {name: Pixel(*place) for name, place in _EYES[self.resolution].items()}

    def known_fingerprint(self, split: Split) -> str | None:
        return _KNOWN[self.resolution][split]

    def load(self, split: Split = "train") -> Dataset:
        path = find_file(_PLACES)
        if path is None and split == "test" and (part := shipped_excerpt(self)) is not None:
            return part
        if path is None:
            raise DataUnavailable(f"The {self.name} images are not on this machine. {self.missing()}")
        _check(path)
        pixels = _read(path, split)
        if self.resolution < _SIDE:
            pixels = _halve(pixels)
        return Dataset(self.name, split, self.shape, torch.from_numpy(pixels.reshape(len(pixels), -1)))


def _check(path: Path) -> None:
    """Refuse a zip that is not the known one. Raises BadInput (cut short) or DigestMismatch."""
    size = path.stat().st_size
    if size < _SIZE:
        raise BadInput(f"{path.name} is incomplete: {size:,} bytes, {_SIZE:,} expected. Copy it again.")
    if (found := sha256_of(path)) != _SHA256:
        raise DigestMismatch(
            f"{path.name} has SHA-256 {found}, {_SHA256} is known. Copy it again, or read it as folder:path={path}."
        )


def _read(path: Path, split: Split) -> NDArray[np.uint8]:
    """Pixels [n 3 64 64] of one split, in sorted order of names; decoded once, and kept."""
    kept = obtain(Request(str(path), _SIDE, "none", "rgb"))
    if (count := kept.train + kept.test) != _COUNT:
        raise BadInput(f"{path.name} holds {count:,} photographs, {_COUNT:,} are expected. Copy it again.")
    every = kept.every()
    chosen = every[:-_HELD_OUT] if split == "train" else every[-_HELD_OUT:]
    return chosen.reshape(-1, 3, _SIDE, _SIDE)


def _halve(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Means of 2x2 pixels, [n c 2h 2w] -> [n c h w]: exact quarters, rounded to the nearest, halves to even."""
    n, c, h, w = pixels.shape
    sums = pixels.reshape(n, c, h // 2, 2, w // 2, 2).sum(axis=(3, 5), dtype=np.uint16)
    whole, rest = sums >> 2, sums & 3
    rounded: NDArray[np.uint8] = (whole + ((rest == 3) | ((rest == 2) & (whole % 2 == 1)))).astype(np.uint8)
    return rounded
