"""The dataset and the network of the session: kept in the address bar, the same on every page."""

from __future__ import annotations

import streamlit as st

from locality.datasets import DATASETS, Source
from locality.errors import LocalityError
from locality.params import Spec
from pages._ui.cached import networks_of, source
from pages._ui.controls import controls_for
from pages._ui.download import offer_download

DEFAULT = "cifar10"


def choose_dataset() -> None:
    """Selector of the dataset, its own options below it, and how to get images that are missing."""
    names = [DEFAULT, *(name for name in DATASETS if name != DEFAULT)]
    keep_known("dataset", names)
    st.selectbox(
        "Dataset",
        names,
        key="dataset",
        format_func=lambda name: DATASETS[name].info.title,
        bind="query-params",
        persist_state="session",
    )
    name = st.session_state["dataset"]
    st.caption(DATASETS[name].info.about)
    options = controls_for(DATASETS[name], prefix=name)
    st.session_state["source"] = ",".join(f"{option}={value}" for option, value in options.items())
    spec = _spec(name, options)
    if spec is not None and (missing := spec.missing()):
        offer_download(name, missing)


def _spec(name: str, options: dict[str, str]) -> Spec | None:
    try:
        return DATASETS[name].parse(options)
    except LocalityError:
        return None  # the page itself explains what is wrong


def choose_network() -> None:
    """Selector of the trained network, with its held-out error beside it."""
    names = networks_of(st.session_state["dataset"])
    if not names:
        st.caption("No network is trained on this dataset yet.")
        return
    keep_known("network", list(names))
    st.selectbox("Network", list(names), key="network", bind="query-params", persist_state="session")


def current_source() -> Source:
    """The chosen dataset with its options. Raises LocalityError with what to do."""
    name, options = st.session_state["dataset"], st.session_state.get("source", "")
    return source(f"{name}:{options}" if options else name)


def current_network() -> str | None:
    """Name of the chosen network, None where none is trained on the dataset."""
    names = networks_of(st.session_state["dataset"])
    chosen = st.session_state.get("network")
    return chosen if chosen in names else next(iter(names), None)


def keep_known(key: str, allowed: list[str]) -> None:
    """Drop a value from the address bar that does not exist, and say so once."""
    asked = st.query_params.get(key)
    if asked is not None and asked not in allowed:
        del st.query_params[key]
        note(f"The link asks for {key} “{asked[:60]}”, which does not exist. Showing {allowed[0]} instead.")


def note(text: str) -> None:
    """Keep a message for the top of the page."""
    notes = st.session_state.setdefault("notes", [])
    if text not in notes:
        notes.append(text)


def show_notes() -> None:
    """Show the kept messages once."""
    for text in st.session_state.pop("notes", []):
        st.warning(text, icon=":material/link_off:")
