"""Every registered dataset meets its contracts, on its own images where they are here, or on stand-ins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import numpy as np
import pytest
import torch

from locality.checks import DATASET_CHECKS, DatasetCase, check_dataset
from locality.dataset import Dataset
from locality.datasets import DATASETS, DatasetInfo, DatasetSpec, Split
from locality.types import ImageShape

MET = [(text, name) for text in DATASETS.examples() for name in DATASET_CHECKS.of(DATASETS.parse(text))]


@pytest.fixture(scope="module")
def cases() -> Iterator[Callable[[str], DatasetCase]]:
    """Cases by text, made once: their images are kept."""
    made: dict[str, DatasetCase] = {}
    with TemporaryDirectory() as folder:

        def of(text: str) -> DatasetCase:
            if text not in made:
                place = Path(folder) / str(len(made))
                place.mkdir()
                made[text] = DatasetCase(DATASETS.parse(text), place)
            return made[text]

        yield of


@pytest.mark.parametrize(("text", "name"), MET)
def test_datasets_meet_their_contracts(cases: Callable[[str], DatasetCase], text: str, name: str) -> None:
    DATASET_CHECKS.run(name, cases(text))


def test_some_datasets_are_there_on_any_machine() -> None:
    assert not any(DATASETS[name]().missing() for name in ("digits", "photos", "faces", "power_law"))


# --- what the contracts catch


@contextmanager
def faulty(fault: str) -> Iterator[DatasetSpec]:
    """Noise of 4x4 pixels with a fault, registered like any other, and gone afterwards."""

    @DATASETS.register("faulty")
    @dataclass(frozen=True)
    class Faulty(DatasetSpec):
        """Noise."""

        info: ClassVar[DatasetInfo] = DatasetInfo("Noise", "made here", "CC0", "Nothing" + "." * (fault != "about"))
        examples: ClassVar[tuple[str, ...]] = ("faulty",)
        fingerprints: ClassVar[dict[str, str]] = {"train": "0" * 64} if fault == "digest" else {}

        @property
        def shape(self) -> ImageShape:
            return ImageShape(1, 4, 4)

        def count(self, split: Split = "train") -> int:
            return 30 if fault == "count" else 20

        def missing(self) -> str:
            return "Buy it." if fault == "no way" else ""

        def load(self, split: Split = "train") -> Dataset:
            seed = 0 if split == "train" or fault == "shared" else 1
            draws = np.random.Generator(np.random.PCG64(None if fault == "random" else seed))
            pixels = torch.from_numpy(draws.integers(0, 256, (20, 16), dtype=np.uint8))
            labels = torch.zeros(20, dtype=torch.int32) if fault == "labels" else None
            return Dataset(self.name, split, self.shape, pixels, labels)

    try:
        yield Faulty()
    finally:
        del DATASETS._classes["faulty"]


def test_a_sound_dataset_passes() -> None:
    with faulty("") as spec:
        check_dataset(spec)


@pytest.mark.parametrize(
    ("fault", "fails"),
    [
        ("about", "describes_itself"),
        ("no way", "absence_is_explained"),
        ("count", "images_are_well_formed"),
        ("labels", "images_are_well_formed"),
        ("random", "loading_is_repeatable"),
        ("digest", "loading_is_repeatable"),
        ("shared", "splits_share_no_image"),
    ],
)
def test_a_fault_is_found_by_the_contract_it_breaks(fault: str, fails: str, tmp_path: Path) -> None:
    with faulty(fault) as spec, pytest.raises(AssertionError, match=rf"fails {fails}: .*\w"):
        DATASET_CHECKS.run(fails, DatasetCase(spec, tmp_path))
