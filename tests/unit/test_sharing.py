"""What visitors of a shared server may have it read: nothing but what its owner lists, links included."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from locality import sharing
from locality.datasets import DATASETS, Source
from locality.edits import parse_chain
from locality.errors import BadInput, LocalityError
from locality.sharing import Sharing, grant, readable, refusal, revoke, share
from locality.studies import find_model, find_network


@pytest.fixture
def places(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A folder that is listed and one that is not, both with images; a server that is shared."""
    draws = np.random.default_rng(0)
    for name in ("open", "closed"):
        (tmp_path / name / "cats").mkdir(parents=True)
        for i in range(20):
            picture = Image.fromarray(draws.integers(0, 256, (8, 8), np.uint8))
            picture.save(tmp_path / name / "cats" / f"{i:02d}.png")
    share(Sharing(((tmp_path / "open").resolve(),)))
    yield tmp_path / "open", tmp_path / "closed"
    share(None)


def folder(path: object) -> str:
    return f"folder:path={path},resolution=8,mode=grey"


def test_files_below_a_listed_folder_are_read(places: tuple[Path, Path]) -> None:
    opened, _ = places
    assert len(Source.parse(folder(opened / "cats")).train) == 18
    assert readable(opened) == opened


@pytest.mark.parametrize(
    "text",
    [
        "{closed}/cats", "{open}/../closed/cats", "/", "/etc/passwd", "/etc/no-such-file", "~", "~root/x", "~nobody-so",
        "{open}x", "pyproject.toml",
    ],
)  # fmt: skip
def test_other_places_are_refused_whether_they_exist_or_not(places: tuple[Path, Path], text: str) -> None:
    opened, closed = places
    path = text.format(open=opened, closed=closed)
    with pytest.raises(BadInput, match="cannot be read: this server is shared"):
        readable(path)
    with pytest.raises(BadInput, match="this server is shared"):
        DATASETS["folder"].parse({"path": path})


@pytest.mark.parametrize("name", ["a\0", "a" * 5000])
def test_a_name_no_file_can_have_is_one_message(name: str, places: tuple[Path, Path]) -> None:
    for server in (sharing.shared(), None):
        share(server)
        with pytest.raises(BadInput, match="no file can have this name"):
            readable(places[0] / name)


@pytest.mark.parametrize("link", ["cats/99.png", "more", "more/deep/away"])
def test_a_link_that_leads_out_is_refused(places: tuple[Path, Path], link: str) -> None:
    opened, closed = places
    target = closed / "cats" if link != "cats/99.png" else closed / "cats" / "00.png"
    (opened / link).parent.mkdir(parents=True, exist_ok=True)
    (opened / link).symlink_to(target)
    for text in (opened, opened / link):
        with pytest.raises(BadInput, match="without links that lead out"):
            Source.parse(folder(text))


def test_a_link_that_stays_is_followed_and_so_is_what_it_leads_to(places: tuple[Path, Path]) -> None:
    opened, closed = places
    (opened / "set").mkdir()
    (opened / "set" / "inside").symlink_to(opened / "cats")
    (opened / "set" / "loop").symlink_to(opened / "set")
    assert readable(opened / "set" / "inside")
    assert readable(opened / "set")
    (opened / "set2").mkdir()
    (opened / "set2" / "inside").symlink_to(opened / "cats")
    (opened / "cats" / "out").symlink_to(closed)
    with pytest.raises(BadInput, match="links"):
        readable(opened / "set2")


def test_every_text_that_may_name_a_file_is_refused(places: tuple[Path, Path]) -> None:
    """Datasets, images an edit mixes in, pictures that are masks, networks and models that follow one."""
    _, closed = places
    picture = closed / "cats" / "00.png"
    source = Source.parse("digits")
    asked = [
        lambda: Source.parse(f"digits+mix:dataset=({folder(closed)}),share=0.5").train,
        lambda: parse_chain(f"pattern:mask={picture}"),
        lambda: find_network(source, str(closed)),
        lambda: find_model(source, str(closed / "net.pt")),
        lambda: find_model(source, f"pca_locality:field=network,network={closed}"),
    ]
    for ask in asked:
        with pytest.raises(LocalityError) as told:
            ask()
        assert "shared" in str(told.value) or "no option" in str(told.value), told.value


def test_a_grant_holds_for_one_place(places: tuple[Path, Path]) -> None:
    _, closed = places
    grant(closed / "cats")
    assert readable(closed / "cats") == closed / "cats"
    for other in (closed, closed / "cats" / "00.png"):
        with pytest.raises(BadInput):
            readable(other)
    revoke(closed / "cats")
    with pytest.raises(BadInput):
        readable(closed / "cats")


def test_a_server_of_ones_own_reads_everything(places: tuple[Path, Path]) -> None:
    share(None)
    assert len(Source.parse(folder(places[1])).train) == 18
    assert not any(refusal(kind) for kind in sharing.KINDS)


def test_the_environment_says_what_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "a")
    said = {"LOCALITY_ROOTS": os.pathsep.join([str(link), ""]), "LOCALITY_ALLOW": "train, bench"}
    found = Sharing.from_environment({**said, "LOCALITY_UPLOADS": "1.5,20"})
    assert found == Sharing(((tmp_path / "a").resolve(),), frozenset({"train", "bench"}), 1_500_000, 20_000_000)
    assert Sharing.from_environment({}) == Sharing()
    share(found)
    try:
        assert (refusal("train"), refusal("bench")) == ("", "")
        assert refusal("download").startswith("This server is shared, and downloads of datasets are off")
    finally:
        share(None)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("LOCALITY_ROOTS", "/no/such/folder", "is no folder"),
        ("LOCALITY_ALLOW", "train,everything", "'everything' is not known. Give some of train, bench, download"),
        ("LOCALITY_UPLOADS", "20", "two sizes in MB"),
        ("LOCALITY_UPLOADS", "20,10", "two sizes in MB"),
        ("LOCALITY_UPLOADS", "-1,inf", "two sizes in MB"),
    ],
)
def test_what_the_environment_may_not_say(name: str, value: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        Sharing.from_environment({name: value})
