"""Where all pages look: one noise level for the whole session, and what a page opens with before anybody chose.

The address bar has both, so that a link restores the view. Where the address is not what this session wrote last, the
reader went back or forward in the browser's history, and the address counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from locality.schedule import nearest_level

SNAP = 0.005  # relative: levels closer than this are the same to a reader
_SIGMA, _WRITTEN, _HEARD = "sigma_of_all_pages", "address_written", "address_heard"


def shared_sigma(usual: float) -> float:
    """The noise level that was last chosen on any page, `usual` before."""
    return float(st.session_state.get(_SIGMA, usual))


def share_sigma(sigma: float) -> None:
    """Make a chosen noise level that of all pages."""
    st.session_state[_SIGMA] = float(sigma)


def follow_sigma(key: str, levels: Sequence[float] = ()) -> None:
    """Set the widget `key` to the noise level of all pages (of `levels` the nearest), before it is drawn.

    The widget shares what is chosen with it by `on_change=share_chosen`, so a difference comes from another page.
    """
    if _SIGMA in st.session_state:
        sigma = float(st.session_state[_SIGMA])
        st.session_state[key] = levels[nearest_level(levels, sigma)] if levels else sigma


def share_chosen(key: str) -> None:
    """What the widget `key` was just set to is the noise level of all pages."""
    share_sigma(st.session_state[key])


def write_address(page: str, values: Mapping[str, str]) -> None:
    """Put a page's values into the address bar, as one step of the browser's history."""
    if any(st.query_params.get(name) != value for name, value in values.items()):
        st.query_params.update(values)
    st.session_state[f"{_WRITTEN}_{page}"] = {name: st.query_params.get(name) for name in values}


def forget_address(page: str) -> None:
    """A page that opens has written nothing yet."""
    st.session_state.pop(f"{_WRITTEN}_{page}", None)
    st.session_state.pop(f"{_HEARD}_{page}", None)


def restart(page: str, name: str, seq: int) -> None:
    """Take a value out of the address, as the page opens anew; what its view chose up to `seq` is over."""
    st.query_params.pop(name, None)
    written = st.session_state.get(f"{_WRITTEN}_{page}")
    if written is not None:
        written[name] = None
    st.session_state[f"{_HEARD}_{page}"] = seq


def went_back(page: str, seq: int) -> bool:
    """Whether the address, not what the page's view chose last as number `seq`, says where to look.

    True from a step in the browser's history until the view chooses again.
    """
    written = st.session_state.get(f"{_WRITTEN}_{page}")
    if written is not None and any(st.query_params.get(name) != value for name, value in written.items()):
        st.session_state[f"{_WRITTEN}_{page}"] = {name: st.query_params.get(name) for name in written}
        st.session_state[f"{_HEARD}_{page}"] = seq
    return seq <= int(st.session_state.get(f"{_HEARD}_{page}", -1))
