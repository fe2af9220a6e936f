"""Names of images and networks: one spelling, networks of before and of other options, what is shipped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from locality.datasets import Source
from locality.errors import UnknownName
from locality.networks import MANIFEST
from locality.studies import find_model, find_network, networks_for, read_trained, trained_networks
from locality.studies.models import model_key
from tests.own_networks import own_network, own_networks
from tests.shell import Shell, refused

FOLDER = "folder:path={},resolution=8,mode=grey"


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("faces", "faces"),
        ("faces:variation=1", "faces"),
        (" faces : variation = 0.50 ", "faces:variation=0.5"),
        ("power_law:seed=3,a=1", "power_law:a=1,seed=3"),
        ("fashion_mnist+pattern:W", "fashion_mnist+pattern:mask=W,strength=0.5"),
        ("digits+mix:(digits+blur:2),share=0.25", "digits+mix:dataset=(digits+blur:2),share=0.25"),
    ],
)
def test_one_spelling_for_all_that_are_typed(typed: str, text: str) -> None:
    assert Source.parse(typed).text == text
    assert Source.parse(text) == Source.parse(typed)


def test_a_mixed_in_set_has_options_and_edits_of_its_own() -> None:
    mixed = Source.parse("power_law:images=40+mix:(power_law:images=40,a=1+blur:radius=2),share=0.5")
    stage = mixed.stage(0)
    assert stage.other == Source.parse("power_law:images=40,a=1+blur:radius=2")
    assert mixed.fingerprint != Source.parse("power_law:images=40+mix:(power_law:images=40),share=0.5").fingerprint


def test_keys_of_models_go_by_the_name_as_before() -> None:
    """What was kept under them is found again."""
    assert model_key(Source.parse("faces"), "wiener")["dataset"] == "faces"
    assert model_key(Source.parse("power_law:images=40"), "wiener")["dataset"] == "power_law"


def test_shipped_networks_are_found_in_any_spelling(shell: Shell) -> None:
    rows = shell("networks", "fashion_mnist+pattern:W", "--json").json
    assert [row["name"] for row in rows] == ["unet", "resnet", "dit"]
    assert {row["dataset"] for row in rows} == {"fashion_mnist+pattern:mask=W,strength=0.5"}
    assert shell("networks", "fashion_mnist+pattern:strength=0.5,mask=W", "--json").json == rows
    assert "Unknown edit 'dogs'" in refused(shell("networks", "fashion_mnist+dogs"))


@pytest.fixture
def old() -> Iterator[Path]:
    """A network of before: its manifest leaves out the options, its command has them."""
    folder = own_network("old", "power_law")
    about = json.loads((folder / MANIFEST).read_text())
    command = "python -m locality train power_law:a=1,images=40 --network 'resnet:channels=8' --images 10 --out x"
    (folder / MANIFEST).write_text(json.dumps({**about, "format": 1, "command": command}))
    yield folder
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def test_a_manifest_of_before_is_read_by_its_command(old: Path) -> None:
    trained = read_trained(old)
    assert (trained.name, trained.dataset) == ("old", "power_law:a=1,images=40")
    assert [network.name for network in trained_networks("power_law:images=40,a=1")] == ["old"]
    assert trained_networks("power_law") == []


def test_other_options_are_offered_with_a_warning_other_files_and_edits_are_not(tmp_path: Path, shell: Shell) -> None:
    here, there = (FOLDER.format(tmp_path / name) for name in ("here", "there"))
    sets = [("own", here), ("cropped", f"{here},crop=none"), ("other", there), ("edited", f"{here}+blur")]
    with own_networks(sets):
        source = Source.parse(here)
        assert [network.name for network in networks_for(source)] == ["own", "cropped"]
        own, cropped = networks_for(source)
        assert own.warning(source) == ""
        said = f"cropped was trained on {Source.parse(f'{here},crop=none').text}; these images are {source.text}."
        assert cropped.warning(source) == find_model(source, "cropped").note() == said
        assert find_model(source, "own").note() == ""
        with pytest.raises(UnknownName, match=r"Unknown model for folder:path=.* 'other'.* own, "):
            find_network(source, "other")
        assert f"Note: {said}" in shell("networks", here).err


def test_of_two_networks_of_one_name_the_own_one_is_meant(tmp_path: Path) -> None:
    here = FOLDER.format(tmp_path / "here")
    with own_networks([("mine", f"{here},crop=none"), ("mine", here)]):
        assert find_network(Source.parse(here), "mine").warning(Source.parse(here)) == ""
        assert [network.name for network in networks_for(Source.parse(here))] == ["mine"]


def test_files_of_one_set_with_other_options_have_names_of_their_own() -> None:
    assert Source.parse("faces:variation=0.5").slug == "faces-variation-0.5"
    assert Source.parse("faces").slug == "faces"
