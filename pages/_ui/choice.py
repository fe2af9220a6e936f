"""The dataset and the network of the session: kept in the address bar, the same on every page."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import fields

import streamlit as st

from locality.datasets import DATASETS, DatasetSpec, Source
from locality.edits import chain_text, parse_chain
from locality.errors import LocalityError
from locality.grammar import value_text, write
from locality.studies import Trained
from pages._ui.cached import networks_of, source
from pages._ui.controls import controls_for
from pages._ui.download import offer_download
from pages._ui.guard import guard

DEFAULT = "cifar10"
EDIT = "edit"  # of the address bar: edits of the dataset's statistics, in order


def choose_dataset() -> None:
    """Selector of the dataset, its own options below it, and how to get images that are missing."""
    names = [DEFAULT, *(name for name in DATASETS if name != DEFAULT)]
    _take_apart(st.query_params.get("dataset", ""))
    linked_select("Dataset", names, key="dataset", format_func=lambda name: DATASETS[name].info.title)
    name = st.session_state["dataset"]
    st.caption(DATASETS[name].info.about)
    options = controls_for(DATASETS[name], prefix=name)
    spec = _spec(name, options)
    st.session_state["source"] = write(name, options) if spec is None else spec.text()
    with guard():
        if spec is not None and (missing := spec.missing()):
            offer_download(name, missing)


def _take_apart(text: str) -> None:
    """A link may give the dataset as commands do, with its options and edits: `dataset=faces:variation=0.5+blur`."""
    if text in DATASETS:
        return
    try:
        asked = link_to(Source.parse(text))
    except LocalityError as error:
        if re.split("[:+]", text)[0] in DATASETS:  # else reported where the dataset is chosen
            note(f"The link's dataset cannot be used. {error}")
            st.query_params.pop("dataset")
        return
    for name, value in asked.items():
        st.query_params[name] = value
    st.rerun()  # widgets read what the address has when a run begins


def _spec(name: str, options: dict[str, str]) -> DatasetSpec | None:
    try:
        return DATASETS[name].parse(options)
    except LocalityError:
        return None  # the page itself explains what is wrong


def choose_edits(*, shown: bool) -> None:
    """What is done to the dataset's images before anything else, if a link asked for it; `shown` on this page."""
    if not shown:  # the page of edits has its own
        st.session_state["edits"] = ""
        return
    asked = st.query_params.get(EDIT)
    if asked is not None and EDIT not in st.session_state:
        st.session_state[EDIT] = _known_edits(asked)
    text = st.session_state.setdefault(EDIT, "")
    st.session_state["edits"] = text
    if not text:
        st.query_params.pop(EDIT, None)
        return
    st.query_params[EDIT] = text
    with st.container(border=True):
        st.markdown(f":material/brush: **Edited images**  \n`{text if len(text) < 60 else text[:58] + '…'}`")
        st.button("Use them as they are", key="edit_off", on_click=_as_they_are, width="stretch")


def _known_edits(text: str) -> str:
    try:
        return chain_text(parse_chain(text))
    except LocalityError as error:
        note(f"The link's edits are left out. {error}")
        return ""


def _as_they_are() -> None:
    st.session_state[EDIT] = ""
    st.query_params.pop(EDIT, None)


def choose_network() -> None:
    """Selector of the trained network, with its held-out error beside it."""
    names = _networks()
    if not names:
        st.caption("No network is trained on this dataset yet.")
        return
    chosen = linked_select("Network", list(names), key="network")
    if warning := names[chosen].warning(current_source()):
        st.warning(f"{warning} Train one on these, or read its fields with this in mind.", icon=":material/warning:")
    ratios = names[chosen].manifest["error_ratio"]
    st.caption("Test MSE ÷ Wiener MSE by noise level; lower is better, 1 is the Wiener filter.")
    st.table({"σ": list(ratios), "ratio": [f"{ratio:.2f}" for ratio in ratios.values()]}, hide_index=True)


def current_source() -> Source:
    """The chosen dataset with its options. Raises LocalityError with what to do."""
    return source(source_text())


def source_text() -> str:
    """The chosen dataset with its options and edits, as one types it."""
    return "+".join(filter(None, (st.session_state.get("source", ""), st.session_state.get("edits", ""))))


def link_to(source: Source) -> dict[str, str]:
    """The query of a link that opens a page with these images: dataset, its options and edits."""
    name, usual = source.spec.name, {field.name: field.default for field in fields(source.spec)}
    chosen = {option: value for option in usual if (value := getattr(source.spec, option)) != usual[option]}
    query = {"dataset": name, **{f"{name}_{option}": value_text(value) for option, value in chosen.items()}}
    return {**query, **({EDIT: chain_text(source.edits)} if source.edits else {})}


def current_network() -> Trained | None:
    """The chosen network, None where none is trained on the dataset."""
    found = _networks()
    return found.get(st.session_state.get("network", ""), next(iter(found.values()), None))


def _networks() -> dict[str, Trained]:
    try:
        return networks_of(source_text())
    except LocalityError:
        return {}  # the page itself explains what is wrong


def linked_select(
    label: str, options: Sequence[str], *, key: str, format_func: Callable[[str], str] = str, help: str | None = None
) -> str:
    """A selector whose value is in the address bar by name; a value that does not exist is reported.

    (Streamlit's own binding writes the formatted label and drops unknown values in silence.)
    """
    asked = st.query_params.get(key)
    if asked is not None and asked not in options:
        note(f"The link asks for {key} “{asked[:60]}”, which does not exist. Showing {format_func(options[0])}.")
    if st.session_state.get(key) not in options:
        st.session_state[key] = asked if asked in options else options[0]
    chosen: str = st.selectbox(label, options, key=key, format_func=format_func, help=help, persist_state="session")
    if chosen == options[0] and key not in ("dataset", "network"):
        st.query_params.pop(key, None)  # links stay short: only what differs from the default
    elif st.query_params.get(key) != chosen:
        st.query_params[key] = chosen
    return chosen


def note(text: str) -> None:
    """Keep a message for the top of the page."""
    notes = st.session_state.setdefault("notes", [])
    if text not in notes:
        notes.append(text)


def show_notes() -> None:
    """Show the kept messages once."""
    for text in st.session_state.pop("notes", []):
        st.warning(text, icon=":material/link_off:")
