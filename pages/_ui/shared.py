"""Shared mode of the server: on where others can reach it; whose session this is; the box that says what is allowed."""

from __future__ import annotations

import ipaddress
import os

import streamlit as st
from streamlit import config
from streamlit.runtime.scriptrunner_utils.script_run_context import get_script_run_ctx

from locality.sharing import KINDS, Sharing, refusal, share, shared

VARIABLE = "LOCALITY_SHARED"  # 1: shared although it listens on this machine alone, behind a proxy say


def begin(address: str | None) -> Sharing | None:
    """Switch shared mode on or off for a server that listens on an address; None is every address.

    Raises:
        BadInput: a variable that says what is allowed is wrong.
    """
    open_to_others = os.environ.get(VARIABLE, "") not in ("", "0") or not _this_machine(address)
    sharing = Sharing.from_environment() if open_to_others else None
    share(sharing)
    return sharing


@st.cache_resource
def begin_once() -> None:
    """The same by the options of the running server, for `streamlit run app.py`; in tests without one nobody listens.

    Raises:
        BadInput: as `begin`, in every session: nothing is served then.
    """
    if getattr(config, "_main_script_path", None) and shared() is None:
        begin(config.get_option("server.address"))


def session() -> str:
    """The id of the session whose page is being run; "" outside of one."""
    context = get_script_run_ctx(suppress_warning=True)
    return "" if context is None else context.session_id


def described(sharing: Sharing) -> list[str]:
    """What a shared server allows, one sentence each."""
    on = [words for kind, words in KINDS.items() if not refusal(kind)]
    off = [words for kind, words in KINDS.items() if refusal(kind)]
    names = ", ".join(f"`{root.name}`" for root in sharing.roots)
    return [
        "Look at everything, generate samples and compute fields: results are shared by all and kept.",
        "Generations take turns: a session that has had less of the machine comes first.",
        *([f"On: {', '.join(on)}."] if on else []),
        *([f"Off: {', '.join(off)}."] if off else []),
        f"Files of this computer: those in {names}." if names else "Files of this computer: none.",
        f"Uploads: {sharing.each / 1e6:.0f} MB per session, {sharing.total / 1e6:.0f} MB in all.",
    ]


def about_box() -> None:
    """What visitors may do here; nothing on a server of one's own."""
    sharing = shared()
    if sharing is None:
        return
    with st.expander("This server is shared", icon=":material/groups:"):
        st.markdown("\n".join(f"- {sentence}" for sentence in described(sharing)))
        st.caption("On a computer of your own, `make run` allows everything.")


def _this_machine(address: str | None) -> bool:
    """Whether an address is reached from this computer alone."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address or "0.0.0.0").is_loopback
    except ValueError:
        return False  # a name: whom it is for is not known
