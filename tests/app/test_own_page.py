"""The way in for one's own images: a path, an upload, nothing yet."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from PIL import Image

from locality.datasets import Source
from locality.errors import TooLarge
from locality.sharing import Sharing, readable, share
from pages._ui import uploads
from pages._ui.quota import QUOTA
from pages._ui.uploads import Held
from tests.app.opened import menu, open_page

PAGES = ("09_Your_images", "01_Explorer", "02_Data", "05_Train")


@pytest.fixture(autouse=True)
def first_page(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[None]:
    first = getattr(request, "param", PAGES[0])
    monkeypatch.setattr("pages._ui.frame.sections", menu(first, *(page for page in PAGES if page != first)))
    st.cache_resource.clear()
    yield
    st.cache_resource.clear()


class Upload(io.BytesIO):
    """As Streamlit gives an uploaded file."""

    def __init__(self, name: str, raw: bytes) -> None:
        super().__init__(raw)
        self.name, self.size, self.file_id = name, len(raw), f"{name} {hash(raw)}"


def png(seed: int) -> bytes:
    out = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def test_a_path_is_looked_at_and_leads_to_the_other_pages(tmp_path: Path) -> None:
    folder = tmp_path / "mine, all of them"
    folder.mkdir()
    for i in range(30):
        (folder / f"{i:02d}.png").write_bytes(png(i))
    at = open_page(dataset="digits")
    assert any(info.value.startswith("No images are chosen yet.") for info in at.info)
    assert not at.error
    next(box for box in at.text_input if box.key == "own_path").set_value(str(folder)).run()
    assert not at.exception, at.exception
    assert not at.error
    said = "\n".join(text.value for text in at.markdown)
    assert "**27 training images** and 3 held-out ones, each 32 × 32 pixels in colour, d = 3,072 values." in said
    assert "rank 26 at most" in said
    links = [link for link in at.get("page_link") if "folder_path=" in link.proto.query_string]  # besides the menu
    assert len(links) == 3


def test_a_path_that_is_none_says_so() -> None:
    at = open_page(dataset="digits")
    next(box for box in at.text_input if box.key == "own_path").set_value("/nowhere/at all").run()
    assert any("/nowhere/at all does not exist" in warning.value for warning in at.warning)
    assert not at.error


@pytest.mark.parametrize("first_page", PAGES[1:3], indirect=True)
def test_other_pages_are_empty_and_not_in_error_before_a_choice(first_page: None) -> None:
    at = open_page(dataset="folder")
    assert not at.error
    assert any("[Your images](your-images)" in info.value for info in at.info)


def test_uploads_become_a_folder_or_stay_an_archive() -> None:
    held = Held("one")
    files = [Upload(f"../{i} a.png", png(i)) for i in range(20)]
    place = held.keep(files)
    assert len(Source.parse(f"folder:path={place}").train) == 18
    assert held.keep(files) == place, "by content: twice is once"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for i, file in enumerate(files):
            archive.writestr(f"{i}.png", file.getvalue())
    packed = held.keep([Upload("mine.zip", out.getvalue())])
    assert packed.name == "mine.zip"
    assert len(Source.parse(f"folder:path={packed}").train) == 18
    held.end()
    assert not packed.exists()


def test_limits_are_said_first_and_a_quota_is_kept() -> None:
    held = Held("two")
    share(Sharing(each=20_000, total=30_000))
    try:
        assert "At most 50 MB a file and 0 MB in all" in held.limits()
        kept = held.keep([Upload("a.bin", bytes(15_000))])
        assert readable(kept) == kept, "a shared server reads what its visitor gave"
        with pytest.raises(TooLarge, match=r"This upload needs 6 KB; the budget is 5 KB\. Remove an earlier upload"):
            held.keep([Upload("b.bin", bytes(6_000))])
        assert QUOTA.left("two") == 5_000, "what was refused is not counted"
    finally:
        held.end()
        share(None)
    assert not kept.exists()


def test_what_a_session_gave_ends_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held("three")
    place = held.keep([Upload(f"{i}.png", png(i)) for i in range(20)])
    spec = Source.parse(f"folder:path={place}").spec
    assert not spec.missing()
    monkeypatch.setattr(uploads, "_PATIENCE", 0.0)
    timers = []
    monkeypatch.setattr(uploads.threading, "Timer", lambda _, run, given: timers.append((run, given)) or Idle())
    uploads._later(held)
    ((run, given),) = timers
    run(*given)
    assert "nobody else has them" in spec.missing()


class Idle:
    daemon = False

    def start(self) -> None: ...
