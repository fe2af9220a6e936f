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
from locality.store import default_store
from locality.studies import Trained, trained_networks
from pages._ui.cached import networks_of, source
from pages._ui.cards import card, place_of_card, show_badge
from pages._ui.controls import controls_for
from pages._ui.download import offer_download
from pages._ui.guard import Nothing, guard

_FIRST = ("afhq_cats", "fashion_mnist")  # where one eye looks for the other, and one sleeve
EDIT = "edit"  # of the address bar: edits of the dataset's statistics, in order


def choose_dataset() -> None:
    """A card of every dataset, the chosen one's own options, and how to get images that are missing."""
    first = default_dataset()
    names = sorted(DATASETS, key=lambda name: (name != first, place_of_card(name)))
    _take_apart(st.query_params.get("dataset", ""))
    about = [DATASETS[name].info.about for name in names]
    linked_select("Dataset", names, key="dataset", format_func=card, captions=about)
    name = st.session_state["dataset"]
    options = controls_for(DATASETS[name], prefix=name)
    spec = _spec(name, options)
    st.session_state["source"] = write(name, options) if spec is None else spec.text()
    with guard():
        if spec is not None and (missing := spec.missing()):
            offer_download(name, missing)


@st.cache_resource
def default_dataset() -> str:
    """What a first visit opens with: the most telling images of which a network comes with the repository."""
    root = default_store().shipped_root
    shipped = [network.dataset for network in trained_networks() if root is not None and root in network.folder.parents]
    return next((name for name in _FIRST if name in shipped), next(iter(DATASETS)))


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
    """Selector of the trained network, and in one badge whether it denoises better than the Wiener filter."""
    names = _networks()
    if not names:
        st.caption("No network is trained on this dataset yet.")
        return
    chosen = linked_select("Network", list(names), key="network")
    if warning := names[chosen].warning(current_source()):
        st.warning(f"{warning} Train one on these, or read its fields with this in mind.", icon=":material/warning:")
    show_badge(names[chosen].manifest["error_ratio"])


def current_source() -> Source:
    """The chosen dataset with its options. Raises LocalityError with what to do."""
    found = source(source_text())
    if (asks := found.spec.asks) and not getattr(found.spec, asks):
        raise Nothing(
            "No images are chosen yet. Choose or upload them under [Your images](your-images), or type their path "
            "under *Dataset options* in the sidebar."
        )
    return found


def source_text() -> str:
    """The chosen dataset with its options and edits, as one types it."""
    return "+".join(filter(None, (st.session_state.get("source", ""), st.session_state.get("edits", ""))))


def link_to(source: Source) -> dict[str, str]:
    """The query of a link that opens a page with these images: dataset, its options and edits."""
    name, usual = source.spec.name, {field.name: field.default for field in fields(source.spec)}
    chosen = {option: value for option in usual if (value := getattr(source.spec, option)) != usual[option]}
    query = {"dataset": name, **{f"{name}_{option}": value_text(value) for option, value in chosen.items()}}
    return {**query, **({EDIT: chain_text(source.edits)} if source.edits else {})}


def offer_set(name: str = "fashion_mnist") -> None:
    """Go on with a set that has what these images lack, on the same page.

    (A button: after a link to the page one is on, Streamlit's address bar goes back to what it was.)
    """
    if st.session_state["dataset"] == name:
        return
    label = f"Show {DATASETS[name].info.title}"
    if st.button(label, key=f"show_{name}", icon=":material/arrow_forward:"):
        st.query_params["dataset"] = name  # as a link does
        st.rerun()  # the whole page, where a part of it was asked


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
    label: str,
    options: Sequence[str],
    *,
    key: str,
    format_func: Callable[[str], str] = str,
    help: str | None = None,
    captions: Sequence[str] = (),
) -> str:
    """A selector whose value is in the address bar by name, as a list of cards where there are `captions`.

    A value of the link that does not exist is reported. (Streamlit's own binding writes the formatted label and drops
    unknown values in silence.) A step back in the browser's history is a step back here.
    """
    asked, always, memory = st.query_params.get(key), key in ("dataset", "network"), f"{key}_linked"
    if asked is not None and asked not in options:
        title = DATASETS[options[0]].info.title if key == "dataset" else format_func(options[0])
        note(f"The link asks for {key} “{asked[:60]}”, which does not exist. Showing {title}.")
    written, shown = st.session_state.get(memory, (asked, None))
    stayed = st.session_state.get("page_before") == st.session_state.get("page")  # the menu's links have no values
    named = asked is not None or (stayed and not always)
    moved = asked != written and st.session_state.get(key) == shown and named
    if st.session_state.get(key) not in options or (moved and asked in (*options, None)):
        st.session_state[key] = asked if asked in options else options[0]
    chosen: str
    if captions:
        chosen = st.radio(
            label, options, key=key, format_func=format_func, help=help, captions=captions, persist_state="session"
        )
    else:
        chosen = st.selectbox(label, options, key=key, format_func=format_func, help=help, persist_state="session")
    if chosen == options[0] and not always:
        st.query_params.pop(key, None)  # links stay short: only what differs from the default
    elif st.query_params.get(key) != chosen:
        st.query_params[key] = chosen
    st.session_state[memory] = (st.query_params.get(key), chosen)
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
