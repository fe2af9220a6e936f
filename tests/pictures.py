"""Small images for tests: random, encoded, as folders and zips."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def noise(seed: int, *shape: int) -> NDArray[np.uint8]:
    """Random pixels, e.g. [h w 3]; another seed, another image."""
    return np.random.Generator(np.random.PCG64(seed)).integers(0, 256, shape, dtype=np.uint8)


def encode(pixels: NDArray[np.uint8], kind: str = "PNG", **options: object) -> bytes:
    """Pixels [h w] or [h w c] as an image file."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind, **options)
    return out.getvalue()


def write_folder(root: Path, files: Mapping[str, bytes]) -> Path:
    """Files by relative name; returns the folder."""
    for name, raw in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)
    return root


def write_zip(path: Path, files: Mapping[str, bytes]) -> Path:
    """The same as a zip; names are written as they are, even bad ones."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in files.items():
            archive.writestr(zipfile.ZipInfo(name), raw)
    return path


def pngs(count: int, *shape: int, name: str = "{:03d}.png") -> dict[str, bytes]:
    """`count` different random images by name."""
    return {name.format(i): encode(noise(i, *shape)) for i in range(count)}
