"""Every kind of file that people have images in: read with the right pixels and classes, or refused with a way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from locality.datasets import DATASETS, DatasetSpec
from locality.errors import LocalityError
from tests.filekinds import KINDS, Kind


def spec_of(kind: Kind, folder: Path) -> DatasetSpec:
    return DATASETS.parse(f"folder:{kind.write(folder)}")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.refused], ids=lambda kind: kind.name)
def test_what_cannot_be_read_is_refused_with_a_way(tmp_path: Path, kind: Kind) -> None:
    spec = spec_of(kind, tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(LocalityError) as caught:
        spec.load()
    text = str(caught.value)
    assert kind.refused in text
    assert "\n" not in text
    assert len(text) < 400
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.refused], ids=lambda kind: kind.name)
def test_what_is_read_has_the_right_values(tmp_path: Path, kind: Kind) -> None:
    spec = spec_of(kind, tmp_path)
    listed = spec.count("train"), spec.count("test")
    train, test = spec.load("train"), spec.load("test")
    assert (len(train), len(test)) == listed == (spec.count("train"), spec.count("test"))
    if kind.pixels is not None:
        channels = kind.pixels[:, None] if kind.pixels.ndim == 3 else kind.pixels.transpose(0, 3, 1, 2)
        want = channels.reshape(len(channels), -1)
        assert train.data.numpy().dtype == want.dtype
        assert np.abs(train.data.numpy().astype(np.float64) - want).max() <= kind.near
    if kind.labels is not None:
        assert train.labels.tolist() == kind.labels.tolist()
    notes = " ".join(spec.notes())
    assert kind.note in notes
    assert bool(notes) == bool(kind.note), notes
