"""Images of the training set, or draws that share its statistics where it is not on the machine."""

from __future__ import annotations

from functools import partial

import streamlit as st
import torch

from locality.datasets import Source
from pages._ui.cached import wiener
from pages._ui.data.address import FEWEST, LAST_SEED, MOST, STEP, write_address
from pages._ui.guard import guard
from pages._ui.images import Tile, contact_sheet, grid, photo


@st.fragment
def samples(source: Source) -> None:
    """A grid of images; how many and which is in the address bar."""
    with guard():
        _show(source)


def _show(source: Source) -> None:
    place = st.container(key="data_images" if source.available else "data_draws")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        count = st.slider("Images shown", FEWEST, MOST, step=STEP, key="data_count", persist_state="session", width=160)
        seed = st.number_input("Draw", 0, LAST_SEED, key="data_seed", persist_state="session", width=110)
        write_address("count")
        write_address("seed")
        st.button("Another draw", icon=":material/casino:", on_click=_another)
        tiles = _tiles(source, int(count), int(seed))
        st.download_button(
            "PNG",
            partial(contact_sheet, [tile.picture for tile in tiles], columns=12, scale=4),
            f"{source.slug}-samples-{seed}.png",
            "image/png",
            icon=":material/download:",
            on_click="ignore",
            help="These images on one sheet.",
        )
    with place:
        grid(tiles, wide=12, narrow=6)
        if not source.available:
            st.caption(
                ":material/info: The images themselves are not on this machine. These are samples of "
                "$N(\\mu, S)$: random images with the mean and covariance of the data, and nothing else of it."
            )


def _another() -> None:
    st.session_state["data_seed"] = (int(st.session_state["data_seed"]) + 1) % (LAST_SEED + 1)


def _tiles(source: Source, count: int, seed: int) -> list[Tile]:
    generator = torch.Generator().manual_seed(seed)
    if not source.available:
        draws = wiener(source.fingerprint, source).sample(count, generator)
        return [Tile(photo(x, source.shape), f"Draw {i + 1} of N(mean, covariance)") for i, x in enumerate(draws)]
    train = source.train
    rows = torch.randperm(len(train), generator=generator)[:count]
    named = zip(rows.tolist(), train.x0(rows), strict=True)
    return [Tile(photo(x, train.shape), f"Training image {row}") for row, x in named]
