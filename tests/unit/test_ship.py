"""Shipping a result: the manifest names dataset and licence, what is too large is refused, and it is read back."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from locality.datasets import DATASETS, Source
from locality.errors import DigestMismatch, TooLarge
from locality.store import Artifact, Store, atomic
from locality.studies.benchmark.plan import BenchPlan
from locality.studies.shipped import LARGEST, read_plan, ship, shipped

KIND = "thing"


def about_of(source: Source, folder: Path) -> dict[str, object]:
    ship(source, source.slug, KIND, {"of": source.name}, Artifact({"x": torch.ones(3)}), {"n": 3}, folder)
    found: dict[str, object] = Store(folder / "none", folder).shipped(KIND)[0]["about"]
    return found


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_the_licence_of_a_dataset_stands_in_the_manifest_where_it_has_terms(name: str, tmp_path: Path) -> None:
    info = DATASETS[name].info
    terms = {} if info.licence == "MIT" else {"licence": info.licence}
    terms |= {"source": info.source} if info.passes_on else {}
    about = about_of(Source(DATASETS[name]()), tmp_path)
    assert about == {"dataset": name, "n": 3} | terms


def test_an_edit_that_takes_other_images_in_brings_their_licence(tmp_path: Path) -> None:
    assert about_of(Source.parse("fashion_mnist+mix:dataset=mnist"), tmp_path)["licence"] == "CC BY-SA 3.0"


def test_what_was_shipped_is_found_by_its_manifest(tmp_path: Path) -> None:
    digits, store = Source.parse("digits"), Store(tmp_path / "local", tmp_path)
    for number in (1, 2):
        ship(digits, f"n{number}", KIND, {"n": number}, Artifact({"x": torch.tensor(number)}), {"n": number}, tmp_path)
    assert [(key, int(kept.arrays["x"])) for key, kept in shipped(KIND, store=store)] == [({"n": 1}, 1), ({"n": 2}, 2)]
    (found,) = shipped(KIND, where=lambda manifest: manifest["about"]["n"] == 2, store=store)
    assert found[0] == {"n": 2}


def test_too_large_a_file_is_not_written(tmp_path: Path) -> None:
    big = Artifact({"x": torch.zeros(LARGEST + 1, dtype=torch.uint8)})
    with pytest.raises(TooLarge, match=r"thing/big needs 50 MB; the budget is 50 MB\. Keep it in the local cache"):
        ship(Source.parse("digits"), "big", KIND, {}, big, {}, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_disk_that_gives_other_bytes_back_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lossy(path: Path, payload: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(payload[:-1] if path.suffix == ".safetensors" else payload)

    monkeypatch.setattr(atomic, "write_atomic", lossy)
    with pytest.raises(DigestMismatch, match="is not the file its manifest describes"):
        ship(Source.parse("digits"), "one", KIND, {}, Artifact({"x": torch.ones(3)}), {}, tmp_path)


def test_a_plan_comes_back_from_json() -> None:
    assert read_plan(BenchPlan, {"count": 3, "sigmas": [0.5, 2.0]}) == BenchPlan(count=3, sigmas=(0.5, 2.0))
