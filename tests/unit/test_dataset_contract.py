"""The dataset contract, over every registered dataset whose images are here or can be made here."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from locality.dataset import Dataset
from locality.datasets import DATASETS, DatasetSpec, Split
from tests import contracts
from tests.pictures import encode, noise, pngs, write_folder, write_zip

_VARIANTS = [
    "afhq_cats:resolution=64",
    "faces:variation=0.5",
    "power_law:a=1,images=200,seed=3",
    "folder:mode=grey,crop=none,limit=5",
]
_BIG_PICTURES = ("celeba_hq", "afhqv2")
_loaded: dict[tuple[DatasetSpec, Split], Dataset] = {}


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with small stand-ins, in the true layouts, for the sets nobody may pass on."""
    root = tmp_path_factory.mktemp("made")
    people = {f"train/{('female', 'male')[i % 2]}/{i:05d}.png": encode(noise(i, 40, 40, 3)) for i in range(20)}
    held = {f"val/male/{i:05d}.jpg": encode(noise(100 + i, 48, 40, 3), "JPEG") for i in range(4)}
    write_folder(root / "celeba_hq", people | held)
    animals = pngs(25, 64, 64, 3, name="00000/img{:08d}.png")
    labels = ",".join(f'["{name}", {i % 3}]' for i, name in enumerate(animals))
    write_zip(root / "afhqv2-64x64.zip", {**animals, "dataset.json": f'{{"labels": [{labels}]}}'.encode()})
    write_folder(root / "mine", pngs(23, 20, 30, 3))
    return root


@pytest.fixture(params=[*DATASETS, *_VARIANTS])
def spec(request: pytest.FixtureRequest, made: Path, monkeypatch: pytest.MonkeyPatch) -> DatasetSpec:
    spec = DATASETS.parse(request.param)
    if spec.name == "folder":
        spec = replace(spec, path=str(made / "mine"))
    if spec.name in _BIG_PICTURES:
        monkeypatch.setenv("LOCALITY_DATA", str(made))
    if spec.missing():
        why = "LOCALITY_DATA is not set" if "LOCALITY_DATA" not in os.environ else spec.missing()
        pytest.skip(f"no {spec.name} images here: {why}")
    return spec


def load(spec: DatasetSpec, split: Split) -> Dataset:
    if (spec, split) not in _loaded:
        _loaded[spec, split] = spec.load(split)
    return _loaded[spec, split]


@pytest.mark.parametrize("split", ["train", "test"])
def test_images_are_well_formed(spec: DatasetSpec, split: Split) -> None:
    contracts.dataset_is_well_formed(spec, load(spec, split), split)


@pytest.mark.parametrize("split", ["train", "test"])
def test_loading_is_repeatable(spec: DatasetSpec, split: Split) -> None:
    contracts.dataset_is_repeatable(spec, load(spec, split), split)


def test_splits_share_no_image(spec: DatasetSpec) -> None:
    contracts.splits_share_no_image(load(spec, "train"), load(spec, "test"))


def test_first_takes_a_prefix(spec: DatasetSpec) -> None:
    contracts.first_takes_a_prefix(load(spec, "train"))


@pytest.mark.parametrize("name", list(DATASETS))
def test_info_is_complete(name: str) -> None:
    contracts.info_is_complete(DATASETS[name]())


@pytest.mark.parametrize("name", list(DATASETS))
def test_absence_is_explained(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contracts.absence_is_explained(DATASETS[name](), tmp_path, monkeypatch)


def test_every_dataset_of_the_house_is_registered() -> None:
    embedded = {"digits", "photos", "faces", "power_law"}
    others = {"mnist", "fashion_mnist", "cifar10", "afhq_cats", "celeba_hq", "afhqv2", "folder"}
    assert embedded | others <= set(DATASETS)
    assert not any(DATASETS[name]().missing() for name in embedded)
