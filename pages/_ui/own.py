"""A way in for one's own images: a path on this computer or files from the browser, looked at before they are used."""

from __future__ import annotations

import dataclasses

import streamlit as st

from locality.datasets import DATASETS, DatasetSpec, Source
from pages._ui.cached import source
from pages._ui.choice import link_to
from pages._ui.controls import option, start_option
from pages._ui.data import notes, reading
from pages._ui.guard import guard
from pages._ui.images import Tile, grid, photo
from pages._ui.uploads import holding

_SHOWN = 24
_PREFIX = "own"


def show() -> None:
    """The form, and what was found where it leads."""
    name = next(name for name, cls in DATASETS.items() if cls.asks)
    cls, held = DATASETS[name], holding()
    left, right = st.columns(2, gap="large", vertical_alignment="center")
    with left:
        path = st.text_input("A path on the computer that runs this app", key="own_path", placeholder="~/pictures")
        st.caption(cls.params()[cls.asks].help)
    with right, st.popover("Or upload files from this browser", icon=":material/upload:", width="stretch"):
        files = st.file_uploader("An archive, or the images themselves", key="own_files", accept_multiple_files=True)
        st.caption(held.limits())
    place = path.strip()
    if files:
        place = ""
        with guard():
            place = str(held.keep(files))
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


def _found(images: Source) -> None:
    """What was read, and the pages that use it."""
    with reading():
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
    notes(images)
    if holding().has(str(getattr(images.spec, images.spec.asks))):
        st.caption(
            ":material/link_off: Links to these images work in this tab alone: others do not have them. "
            "Give them the files, or train on them here and give them the network."
        )
    query = link_to(images)
    with st.container(horizontal=True):
        for page, label, icon in (
            ("01_Explorer", "Explorer: where does a denoiser of these images look?", ":material/grid_on:"),
            ("02_Data", "Data: what do they have in common?", ":material/dataset:"),
            ("05_Train", "Train a network on them", ":material/model_training:"),
        ):
            st.page_link(f"pages/explore/{page}.py", label=label, icon=icon, query_params=query)
