"""What surrounds every page: the menu, the dataset and network of the session, one first rerun."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from PIL import Image
from streamlit.navigation.page import StreamlitPage

from locality.specs import load_plugins
from pages._ui.document import STYLE
from pages._ui.guard import guard
from pages._ui.lessons import lesson_pages
from pages._ui.shared import about_box, begin_once


def _icon() -> Image.Image:
    """A field in sixteen squares; local, since an icon by name would be fetched from a foreign host."""
    icon = Image.new("RGB", (4, 4), "#f2f5f7")
    for spot, colour in {(1, 1): "#0b6a88", (2, 1): "#8fc3d4", (1, 2): "#8fc3d4", (0, 1): "#cfe3ea"}.items():
        icon.putpixel(spot, tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5)))
    return icon.resize((64, 64), Image.Resampling.NEAREST)


ICON = _icon()


_PAGES = Path(__file__).resolve().parents[1]
_ICONS = {
    "Explorer": ":material/grid_on:",
    "Lessons": ":material/school:",
    "Data": ":material/dataset:",
    "Samples": ":material/grid_view:",
    "Architectures": ":material/account_tree:",
    "Train": ":material/model_training:",
    "Edit statistics": ":material/brush:",
    "Benchmark": ":material/leaderboard:",
    "Why not exactly equal": ":material/balance:",
    "Your images": ":material/add_photo_alternate:",
}


Menu = list[StreamlitPage] | dict[str, list[StreamlitPage]]
# The style of all pages keeps the sidebar's room until it comes; here none comes, and the one of the page before would
# stay, empty.
_NO_SIDEBAR = """<style>
@media (min-width: 768px) {
  [data-testid="stSidebar"], [data-testid="stExpandSidebarButton"] { display: none !important; }
}
html [data-testid="stAppViewContainer"] > :has(> [data-testid="stMain"]) { margin-left: 0 !important; }
</style>"""
_WITHOUT_NETWORK = (
    "Edit statistics",
    "Benchmark",
    "Why not exactly equal",
    "Your images",
)  # pages with a choice of networks of their own


def sections() -> list[StreamlitPage]:
    """The menu: every pages/<section>/<NN>_<Title>.py, in the order of their numbers, then the lessons, unlisted.

    Pages live one folder down: files directly in pages/ would start Streamlit's legacy menu.
    """
    files = sorted(_PAGES.glob("[a-z]*/[0-9][0-9]_*.py"), key=lambda path: path.name)
    return [*(_page(path, default=i == 0) for i, path in enumerate(files)), *lesson_pages().values()]


def _page(path: Path, *, default: bool) -> StreamlitPage:
    title = path.stem[3:].replace("_", " ")
    icon = _ICONS.get(title, ":material/article:")
    return st.Page(path, title=title, icon=icon, default=default, url_path=title.lower().replace(" ", "-"))


@st.cache_resource
def _process() -> dict[str, bool]:
    return {"begun": False}


def begin_process() -> None:
    """Rerun once in the life of a server, before any widget.

    With a folder named pages/, a fresh server runs the first visit in its legacy mode, where
    widgets get other identities; without this rerun the first click of that visit is lost.
    """
    process = _process()
    if not process["begun"]:
        process["begun"] = True
        st.rerun()


def dress(page: StreamlitPage) -> None:
    """What every page wears: its name in the tab, the frame's style, and on a phone a menu that can be seen."""
    st.set_page_config(page_title=f"{page.title} – Locality Lab")
    st.html(f"<style>{STYLE}</style>")


def opening(title: str, text: str, *, lines: int = 2) -> None:
    """A page's title and what it is about, in a place that is kept for them: about so many lines of a wide screen."""
    with st.container(key=f"opening_{lines}"):
        st.title(title, anchor=False)
        st.markdown(text)


def _phone_menu(pages: Menu) -> None:
    """Streamlit hides the menu of small screens in the sidebar; this one is shown there alone."""
    listed = [page for group in pages.values() for page in group] if isinstance(pages, dict) else pages
    with st.container(key="phone_menu", horizontal=True):
        for page in listed:
            if not page.url_path.startswith("lesson-"):  # reached from the list of lessons
                st.page_link(page, label=page.title)


def sidebar(page: StreamlitPage, pages: Menu) -> None:
    """The choices that all pages share, and on a phone the menu `pages`."""
    st.session_state["page_before"], st.session_state["page"] = st.session_state.get("page"), page.title
    loaded = False
    with guard():
        begin_once()  # as the plug-ins below
        load_plugins()  # once a process: `python -m pages._ui.serve` has done so, `streamlit run app.py` has not
        loaded = True
    if not loaded:
        st.stop()
    _phone_menu(pages)
    if page.title.startswith("Lesson"):
        st.html(_NO_SIDEBAR)  # lessons have images and networks of their own
        return
    # Here and not above: the first run of a process must reach its rerun before a message that the
    # page of a deep link does not exist leaves the server, and this import loads torch.
    from pages._ui.choice import choose_dataset, choose_edits, choose_network

    with st.sidebar:
        choose_dataset()
        choose_edits(shown=page.title != "Edit statistics")
        if page.title not in _WITHOUT_NETWORK:
            choose_network()
        about_box()
