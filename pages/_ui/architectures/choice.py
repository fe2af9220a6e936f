"""Which networks stand side by side: those trained on the dataset, and checkpoints of the user's own by path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from locality.datasets import Source
from locality.errors import BadInput, LocalityError
from locality.grammar import read_list, write_list
from locality.studies import Trained, find_network
from pages._ui.cached import networks_of
from pages._ui.choice import note
from pages._ui.guard import guard

MOST = 8  # networks beside each other: more panels are not compared at a glance
_KEY, _URL, _ALONE = "architectures_networks", "networks", "-"


@dataclass(frozen=True)
class Asked:
    """Networks by what `find_model` calls them, in the order of their panels; whether each shows its untrained twin."""

    networks: dict[str, Trained]
    twins: bool


def choose(source: Source) -> Asked:
    """Draw the controls, started from the link, and write what they say back to it."""
    known = networks_of(source.text)
    names = list(known)
    state = f"{_KEY}_{source.text}"  # every dataset has networks of its own
    if state not in st.session_state:
        st.session_state[state] = _asked(names)
    left, right = st.columns([4, 1], vertical_alignment="bottom")
    with left:
        chosen = st.multiselect(
            "Networks",
            list(dict.fromkeys([*names, *st.session_state[state]])),
            key=state,
            accept_new_options=True,
            max_selections=MOST,
            persist_state="session",
            placeholder="Choose networks, or type the path of a checkpoint",
            format_func=lambda name: name if name in known else f"{Path(name).name} (your checkpoint)",
            help="Networks trained on this dataset. To add a checkpoint of your own, type its path on the computer "
            "that runs this page and press Enter: a diffusers folder, a .pt file of the Locality code, or the folder "
            "of a network trained here.",
        )
    with right:
        twins = st.toggle(
            "Untrained twins",
            key="twins",
            bind="query-params",
            persist_state="session",
            help="Below each network, the field of the same architecture at initialisation, before any training.",
        )
    _write(chosen, names)
    return Asked(_found(source, chosen, known), twins)


def _asked(names: list[str]) -> list[str]:
    """The networks of the link, all trained ones where it names none."""
    text = st.query_params.get(_URL)
    if text is None:
        return names[:MOST]
    asked = list(dict.fromkeys(part for part in read_list(text) if part and part != _ALONE))
    if len(asked) > MOST:
        note(f"The link asks for {len(asked)} networks; at most {MOST} are shown.")
    return asked[:MOST]


def _write(chosen: list[str], names: list[str]) -> None:
    if chosen == names[:MOST]:
        st.query_params.pop(_URL, None)
    else:
        st.query_params[_URL] = write_list(chosen) or _ALONE


def unlike(networks: Mapping[str, Trained]) -> str:
    """Which of the networks learned from mirrored images too, where not all did; "" where all saw the same."""
    mirrored = [name for name, one in networks.items() if (one.manifest.get("train") or {}).get("flips")]
    if len(mirrored) in (0, len(networks)):
        return ""
    return (
        f"Not all saw the same images: {', '.join(mirrored)} learned from mirrored ones too, whose covariance is "
        "another. The prediction is that of the images as they are."
    )


def _found(source: Source, chosen: list[str], known: dict[str, Trained]) -> dict[str, Trained]:
    """The networks that can be read; each other one says why not."""
    found: dict[str, Trained] = {}
    for name in chosen:
        with guard():
            network = known.get(name) or _own(source, name)
            if network.manifest["sha256"] in {other.manifest["sha256"] for other in found.values()}:
                st.info(f"“{network.name}” is shown already: its weights are the same.")
            else:
                found[name if name in known else str(network.folder)] = network
                if warning := network.warning(source):
                    st.warning(warning, icon=":material/warning:")
    return found


def _own(source: Source, path: str) -> Trained:
    """A checkpoint by path; one that cannot be read is named in its message. Raises BadInput."""
    try:
        return find_network(source, path)
    except LocalityError as error:
        raise BadInput(f"“{path}” is not shown. {error}") from None
