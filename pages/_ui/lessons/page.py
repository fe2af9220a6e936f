"""The list of lessons, and a lesson on its page."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import Thread
from typing import Any

import streamlit as st

from locality.errors import LocalityError
from pages._ui.lab.modules import linked
from pages._ui.lab.mount import style
from pages._ui.lessons.payload import payload
from pages._ui.lessons.registry import lesson, lessons, numbers
from pages._ui.lessons.standalone import standalone

_HERE = Path(__file__).parent
# On paper the lesson is alone: what Streamlit puts around it is not printed.
_PAPER = """<style>@media print {
  [data-testid="stHeader"], [data-testid="stSidebar"], .st-key-phone_menu, .stDownloadButton {
    display: none !important;
  }
  [data-testid="stMainBlockContainer"] { padding: 0 !important; }
}</style>"""


@cache
def _component(number: int) -> Any:
    return st.components.v2.component(
        f"locality_lesson_{number}",
        html=(_HERE / "view.html").read_text(encoding="utf-8"),
        css=style(_HERE),
        js=linked(lesson(number).script),
    )


@st.cache_resource(show_spinner=False)
def _data(number: int) -> bytes:
    """Computed once a server: whoever asks meanwhile waits."""
    return payload(number)


def _prepare(number: int) -> None:
    """Compute a lesson while another page is read, so that the way to it is not a wait."""

    def work() -> None:
        with suppress(LocalityError):  # its page says so
            _data(number)

    Thread(target=work, name=f"lesson-{number}", daemon=True).start()


def show(number: int) -> None:
    """The page of a lesson."""
    this, key = lesson(number), f"lesson_{number}"
    st.set_page_config(page_title=f"{number}. {this.title}")
    asked = (st.session_state.get(key) or {}).get("go")
    if asked in numbers():
        st.switch_page(lesson_pages()[int(asked)])
    if asked == 0:
        st.switch_page("pages/lessons/01_Lessons.py")
    with st.spinner("Computing the figure, once for this server…"):
        data = _data(number)
    _component(number)(key=key, data=data, default={"go": None}, width="stretch", on_go_change=lambda: None)
    if number + 1 in numbers():
        _prepare(number + 1)
    st.html(_PAPER)
    with st.container(horizontal=True, horizontal_alignment="center"):
        st.download_button(
            "One HTML file",
            lambda: standalone(number),
            f"{this.address}.html",
            mime="text/html",
            on_click="ignore",
            icon=":material/download:",
            help="This lesson in one file that needs no network. Saved into one folder, lessons link to each other.",
        )


def lesson_pages() -> dict[int, Any]:
    """A page for every lesson, reached from the list of lessons, new at every run as Streamlit wants them.

    Nothing of a lesson is imported before it runs.
    """
    return {number: _page(number) for number in numbers()}


def _page(number: int) -> Any:
    def run() -> None:
        show(number)

    address = f"lesson-{number}"
    return st.Page(run, title=f"Lesson {number}", icon=":material/school:", url_path=address, visibility="hidden")


def index() -> None:
    """The page that lists them."""
    _, middle, _ = st.columns([1, 4, 1])
    with middle:
        st.title("Lessons", anchor=False)
        pages = lesson_pages()
        total = sum(one.minutes for one in lessons())
        st.markdown(
            "Each lesson makes one claim and asks for your prediction before its figure answers. All take about "
            f"{total:g} minutes; every one can be presented, printed, or saved as a file that needs no network."
        )
        for one in lessons():
            with st.container(border=True, gap="xxsmall"):
                st.page_link(pages[one.number], label=f"**{one.title}**", icon=f":material/counter_{one.number}:")
                st.caption(f"{one.summary} {one.minutes:g} minutes.")
    _prepare(numbers()[0])
