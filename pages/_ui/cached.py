"""Results shared by all sessions of a server, kept in memory between reruns; never changed by a page."""

from __future__ import annotations

from typing import Any

import streamlit as st

from locality.datasets import Source
from locality.linear.wiener import WienerFilter
from locality.networks import NetworkDenoiser
from locality.studies import Trained, finish, fit_wiener, learned_table, networks_for


@st.cache_resource(max_entries=8, show_spinner=False)
def source(text: str) -> Source:
    """A dataset by name and options."""
    return Source.parse(text)


@st.cache_resource(max_entries=8, show_spinner=False)
def wiener(fingerprint: str, _source: Source) -> WienerFilter:
    """The eigendecomposition of a training set; at d = 3072 it holds 38 MB."""
    bar = st.empty()

    def show(event: Any) -> None:
        bar.progress(event.fraction, f"{event.note}, once for this dataset")

    found = finish(fit_wiener(_source), show)
    bar.empty()
    return found


def networks_of(dataset: str) -> dict[str, Trained]:
    """Trained networks of a dataset by name, then those of its variants (see `networks_for`). Raises LocalityError."""
    return {network.name: network for network in networks_for(source(dataset))}


@st.cache_resource(max_entries=8, show_spinner=False)
def network(sha256: str, _trained: Trained) -> NetworkDenoiser:
    """A trained network, ready to denoise."""
    return _trained.load()


@st.cache_resource(max_entries=8, show_spinner=False)
def hover_table(sha256: str, _trained: Trained) -> Any:
    """The precomputed fields of a network, None where there are none."""
    return learned_table(_trained)


def table_of(source: Source, trained: Trained | None) -> Any:
    """The precomputed fields of a network on these images, None where there are none or they are of others."""
    table = None if trained is None else hover_table(str(trained.manifest["sha256"]), trained)
    return table if table is None or table.meta["dataset"] == source.text else None
