"""The images to choose from, as one file for the browser: real ones where there are any, else draws with S."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st
import torch

from locality.datasets import Source
from locality.linear.wiener import WienerFilter
from locality.store.artifact import digest
from pages._ui.explorer import files
from pages._ui.explorer.fields import IMAGE_SEED
from pages._ui.explorer.options import Options
from pages._ui.lab.mount import pack

SHOWN = 12
_VERSION = 1


def strip(source: Source, wiener: WienerFilter, options: Options) -> dict[str, Any]:
    """Address of the file, which kind of image each is and its number, and which of them is chosen (-1: none)."""
    kind = options.image if options.image != "Mean image" else "Draw from the statistics"
    kind = "Test image" if options.image == "Mean image" and source.shows_held_out else kind
    url, count = _file(source.fingerprint, kind, source, wiener)
    return {"url": url, "image": kind, "count": count, "chosen": options.index if options.image == kind else -1}


@st.cache_resource(max_entries=32, show_spinner=False)
def _file(fingerprint: str, kind: str, _source: Source, _wiener: WienerFilter) -> tuple[str, int]:
    images = _images(kind, _source, _wiener)
    name = digest("image_strip", {"fingerprint": fingerprint, "kind": kind, "version": _VERSION})[:24] + ".bin"
    codes = ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    files.write(name, pack({}, {"images": np.ascontiguousarray(codes.numpy())}))
    return files.url(name), len(images)


def _images(kind: str, source: Source, wiener: WienerFilter) -> torch.Tensor:
    if kind == "Draw from the statistics":
        draws = [wiener.sample(1, torch.Generator().manual_seed(IMAGE_SEED + index))[0] for index in range(SHOWN)]
        return torch.stack(draws).float()
    data = source.train if kind == "Training image" else source.held_out
    return data.x0(torch.arange(min(SHOWN, len(data)))).float()
