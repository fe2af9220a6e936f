"""Kinds of files that people have their images in, what becomes of each, and the second start of many photographs."""

from __future__ import annotations

import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from locality.datasets import DATASETS
from locality.errors import LocalityError
from locality.pictures import kept
from locality.pictures.decode import Request
from tests.filekinds import KINDS, Kind
from tests.pictures import encode, noise, write_folder

_PHOTOS = 10_000


def run() -> None:
    """Print one line per kind, then the times."""
    with TemporaryDirectory() as place:
        os.environ["LOCALITY_CACHE"] = str(Path(place) / "cache")
        print("| file | what becomes of it |\n|---|---|")
        for i, kind in enumerate(KINDS):
            folder = Path(place) / str(i)
            folder.mkdir()
            print(f"| {kind.name} | {_outcome(kind, folder)} |")
        print()
        _times(Path(place))


def _outcome(kind: Kind, folder: Path) -> str:
    spec = DATASETS.parse(f"folder:{kind.write(folder)}")
    try:
        train, test = spec.load("train"), spec.load("test")
    except LocalityError as error:
        return f"refused: {str(error).replace(str(folder), 'PLACE')}"
    classes = "" if train.labels is None else f", {len(set(train.labels.tolist()))} classes"
    kept_as = "" if train.is_8bit else ", floats"
    return " ".join([f"read: {len(train)} + {len(test)}{classes}{kept_as}.", *spec.notes()])


def _times(place: Path) -> None:
    """Photographs of 256 x 256 pixels to 64 x 64: the first start decodes them, the second opens what is kept."""
    smooth = np.repeat(np.repeat(noise(1, 32, 32, 3), 8, axis=0), 8, axis=1)
    photos = [encode(np.roll(smooth, (i, 2 * i), axis=(0, 1)), "JPEG", quality=90) for i in range(100)]
    root = write_folder(place / "photos", {f"{i:05d}.jpg": photos[i % 100] for i in range(_PHOTOS)})
    request = Request(str(root), 64, "centre", "rgb")
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        int(kept.obtain(request).pixels("train")[:, ::64].sum())
        seconds.append(time.perf_counter() - start)
    first, second = seconds
    print(f"| {_PHOTOS:,} JPEGs of 256 x 256 pixels, to 64 x 64 | |\n|---|---|")
    print(f"| first start: headers checked, decoded, kept | {first:.1f} s |")
    print(f"| second start: the kept set opened, one value in 64 read | {1000 * second:.0f} ms |")
    print(f"| rate | {first / second:.0f}x |")
