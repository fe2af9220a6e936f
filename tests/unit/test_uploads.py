"""Uploads: one place for one content, held by sessions, gone with the last of them, and after a server that died."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from locality.datasets.folder import Folder
from locality.errors import BadInput, DataUnavailable, TooLarge
from locality.pictures import scratch
from locality.pictures.scratch import pictures_folder
from locality.pictures.uploads import Given, Uploads, uploads_root
from tests.pictures import pngs, write_zip

PICTURES = pngs(20, 8, 8, 3)


@pytest.fixture(autouse=True)
def fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALITY_CACHE", str(tmp_path / "cache"))


def given(files: dict[str, bytes]) -> list[Given]:
    return [Given(name, len(raw), io.BytesIO(raw)) for name, raw in files.items()]


def test_images_become_a_folder_and_an_archive_stays_one(tmp_path: Path) -> None:
    uploads = Uploads()
    shares: list[float] = []
    folder = uploads.add("a", given(PICTURES), shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    raw = write_zip(tmp_path / "set.zip", PICTURES).read_bytes()
    packed = uploads.add("a", given({"my set.zip": raw}))
    assert (folder.is_dir(), packed.name) == (True, "my-set.zip")
    want = Folder(path=str(tmp_path / "set.zip"), resolution=8).load()
    for place in (folder, packed):
        assert Folder(path=str(place), resolution=8).load().fingerprint == want.fingerprint
    uploads.close()


def test_names_are_made_safe_and_none_is_lost() -> None:
    uploads = Uploads()
    names = ["a/1.png", "b/1.png", "1.PNG", "../../evil.png", "..", ".hidden.png", "x" * 300 + ".png"]
    place = uploads.add("a", given(dict.fromkeys(names, b"x")))
    assert len(list(place.iterdir())) == len(names)
    assert place.parent == uploads.folder
    assert not [path for path in place.iterdir() if path.name.startswith(".")]
    uploads.close()


def test_the_same_files_are_one_place_until_the_last_session_ends() -> None:
    uploads = Uploads()
    place = uploads.add("a", given(PICTURES))
    assert uploads.add("b", given(PICTURES)) == place
    other = uploads.add("b", given(pngs(19, 8, 8, 3)))
    assert other != place
    Folder(path=str(place), resolution=8).load()
    Folder(path=str(other), resolution=8).load()
    assert uploads.release("a") == []
    assert place.is_dir()
    assert sorted(uploads.release("b")) == sorted([place, other])
    assert not place.exists()
    assert not list(pictures_folder().glob("*/set.json"))  # what was decoded from them is gone too
    uploads.close()


def test_a_link_to_an_upload_that_is_gone_says_so() -> None:
    uploads = Uploads()
    place = uploads.add("a", given(PICTURES))
    uploads.release("a")
    spec = Folder(path=str(place))
    assert "were uploaded in a browser and removed when its session ended; nobody else has them" in spec.missing()
    with pytest.raises(DataUnavailable, match="uploaded in a browser"):
        spec.load()
    uploads.close()


def test_other_sets_stay_where_uploads_go(tmp_path: Path) -> None:
    path = str(write_zip(tmp_path / "set.zip", PICTURES))
    Folder(path=path, resolution=8).load()
    uploads = Uploads()
    uploads.add("a", given(PICTURES))
    uploads.close()
    assert len(list(pictures_folder().glob("*/set.json"))) == 1


@pytest.mark.parametrize(
    ("files", "message"),
    [({}, "Nothing was given"), ({"a.png": b"x", "b.png": b""}, "b.png is empty")],
)
def test_nothing_and_empty_files_are_refused(files: dict[str, bytes], message: str) -> None:
    uploads = Uploads()
    with pytest.raises(BadInput, match=message):
        uploads.add("a", given(files))
    assert not list(uploads.folder.iterdir())
    uploads.close()


def test_more_than_the_disk_holds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    uploads = Uploads()
    free = scratch.shutil.disk_usage(uploads.folder)._replace(free=scratch.SPARE + 5)
    monkeypatch.setattr(scratch.shutil, "disk_usage", lambda _: free)
    with pytest.raises(TooLarge, match="This upload needs 6 bytes; the budget is 5 bytes"):
        uploads.add("a", given({"a.png": b"123456"}))
    uploads.close()


def test_what_a_killed_server_left_is_removed_and_that_of_a_living_one_stays() -> None:
    program = (
        "import io, os\nfrom locality.pictures.uploads import Given, Uploads\n"
        "Uploads().add('a', [Given('a.png', 1, io.BytesIO(b'x'))])\nos._exit(1)"
    )
    subprocess.run([sys.executable, "-c", program], check=False)
    assert len(list(uploads_root().glob("*/*/a.png"))) == 1
    living = Uploads()
    assert not list(uploads_root().glob("*/*/a.png"))
    place = living.add("a", given(PICTURES))
    second = Uploads()
    assert place.is_dir()
    second.close()
    living.close()
