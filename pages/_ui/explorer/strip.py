"""Images to choose from, the twelve about the chosen one, as one file for the browser: real ones, else draws with S."""

from __future__ import annotations

import hashlib
from typing import Any

import streamlit as st
import torch

from locality.datasets import Source
from locality.features import as_8bit
from locality.linear.wiener import WienerFilter
from pages._ui.explorer import files
from pages._ui.explorer.fields import IMAGE_SEED
from pages._ui.explorer.options import Options
from pages._ui.lab.mount import pack

SHOWN = 12


def strip(source: Source, wiener: WienerFilter, options: Options) -> dict[str, Any]:
    """Address of the file, which kind of image each is, the numbers there are, and which is chosen (-1: none)."""
    kind = options.image if options.image != "Mean image" else "Draw from the statistics"
    kind = "Test image" if options.image == "Mean image" and source.shows_held_out else kind
    chosen = options.index % _count(kind, source) if options.image == kind else -1
    first = max(chosen, 0) // SHOWN * SHOWN
    name, content, count = _file(source.fingerprint, kind, first, source, wiener)
    url = files.address(name, lambda: content)
    return {"url": url, "image": kind, "first": first, "count": count, "chosen": chosen}


def _count(kind: str, source: Source) -> int:
    """How many images there are: of draws as many as anybody likes."""
    if kind == "Draw from the statistics":
        return 10**9
    return len(source.train if kind == "Training image" else source.held_out)


@st.cache_resource(max_entries=32, show_spinner=False)
def _file(fingerprint: str, kind: str, first: int, _source: Source, _wiener: WienerFilter) -> tuple[str, bytes, int]:
    """Name, content and number of images of a file."""
    images = _images(kind, first, _source, _wiener)
    content = pack({}, {"images": as_8bit(images, _source.shape).numpy()})
    return f"{hashlib.sha256(content).hexdigest()[:24]}.bin", content, len(images)


def _images(kind: str, first: int, source: Source, wiener: WienerFilter) -> torch.Tensor:
    numbers = torch.arange(first, min(first + SHOWN, _count(kind, source)))
    if kind == "Draw from the statistics":
        seeds = [torch.Generator().manual_seed(IMAGE_SEED + number) for number in numbers.tolist()]
        return torch.stack([wiener.sample(1, seed)[0] for seed in seeds]).float()
    data = source.train if kind == "Training image" else source.held_out
    return data.x0(numbers).float()
