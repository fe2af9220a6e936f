"""Every registered dataset meets its contracts, on its own images where they are here, or on stand-ins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from locality.checks import DATASET_CHECKS, DatasetCase
from locality.datasets import DATASETS

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
