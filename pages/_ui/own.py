"""A way in for one's own images: a path on this computer or files from the browser, looked at before they are used."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from locality.datasets import DATASETS, DatasetSpec, Source
from locality.store import default_store
from pages._ui.cached import source
from pages._ui.choice import link_to
from pages._ui.controls import option, start_option
from pages._ui.guard import guard
from pages._ui.images import Tile, grid, photo

_SHOWN = 24
_PREFIX = "own"


def show() -> None:
    """The form, and what was found where it leads."""
    name = next(name for name, cls in DATASETS.items() if cls.asks)
    cls = DATASETS[name]
    left, right = st.columns(2, gap="large", vertical_alignment="center")
    with left:
        path = st.text_input("A path on the computer that runs this app", key="own_path", placeholder="~/pictures")
        st.caption(cls.params()[cls.asks].help)
    with right, st.popover("Or upload files from this browser", icon=":material/upload:", width="stretch"):
        files = st.file_uploader("An archive, or the images themselves", key="own_files", accept_multiple_files=True)
    place = str(keep(files)) if files else path.strip()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        options = _options(cls)
    if not place:
        st.info("No images are chosen yet. Twenty are enough to begin.", icon=":material/add_photo_alternate:")
        return
    with guard():
        spec = cls.parse({cls.asks: place, **options})
        if why := spec.missing():
            st.warning(why, icon=":material/search_off:")
            return
        _found(source(spec.text()))


def _options(cls: type[DatasetSpec]) -> dict[str, str]:
    """The other options of the dataset; those left at their defaults are left out."""
    found = {}
    for field in dataclasses.fields(cls):
        if field.name != cls.asks:
            start_option(cls, field.name, prefix=_PREFIX)
            with st.container(width=150):
                text = option(cls, field.name, prefix=_PREFIX)
            found |= {} if text is None else {field.name: text}
    return found


def keep(files: Sequence[Any]) -> Path:
    """Write what was uploaded to the local cache: one file as it is, several as a folder. Named by content."""
    digest = hashlib.sha256(b"".join(hashlib.sha256(file.getvalue()).digest() for file in files)).hexdigest()[:16]
    folder = default_store().local / "own" / digest
    folder.mkdir(parents=True, exist_ok=True)
    places = [folder / re.sub(r"[^A-Za-z0-9._-]+", "-", Path(file.name).name).lstrip(".") for file in files]
    for place, file in zip(places, files, strict=True):
        if not place.is_file():
            place.write_bytes(file.getvalue())
    archive = len(files) == 1 and not str(files[0].type).startswith("image/")
    return places[0] if archive else folder


def _found(images: Source) -> None:
    """What was read, and the pages that use it."""
    train = images.train
    n, d = len(train), images.shape.d
    c, h, w = images.shape
    rank = f" Fewer images than values: their covariance has rank {n - 1:,} at most." if n < d else ""
    st.markdown(
        f"**{n:,} training images** and {len(images.held_out):,} held-out ones, each {h} × {w} pixels"
        f"{' in colour' if c == 3 else ''}, d = {d:,} values.{rank}"
    )
    shown = train.x0(slice(0, _SHOWN))
    grid([Tile(photo(x, images.shape), f"Training image {i}") for i, x in enumerate(shown)], wide=12, narrow=6)
    query = link_to(images)
    with st.container(horizontal=True):
        for page, label, icon in (
            ("01_Explorer", "Explorer: where does a denoiser of these images look?", ":material/grid_on:"),
            ("02_Data", "Data: what do they have in common?", ":material/dataset:"),
            ("05_Train", "Train a network on them", ":material/model_training:"),
        ):
            st.page_link(f"pages/explore/{page}.py", label=label, icon=icon, query_params=query)
