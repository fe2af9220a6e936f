"""Small made-up pictures in place of those nobody may pass on, so that a set can be tried without its images."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image


def picture(seed: int, h: int, w: int, kind: str = "PNG") -> bytes:
    """A file of random colours; another seed, another picture."""
    pixels = np.random.Generator(np.random.PCG64(seed)).integers(0, 256, (h, w, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind)
    return out.getvalue()


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Files by their names in a folder."""
    for name, raw in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)


def write_zip(path: Path, files: Mapping[str, bytes]) -> None:
    """Files by their names in a zip."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in files.items():
            archive.writestr(name, raw)
