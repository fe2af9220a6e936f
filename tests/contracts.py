"""What every registered plug-in must do, whoever wrote it. One function, one promise."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from locality.dataset import Dataset
from locality.datasets import DATASETS, DatasetSpec, Split
from locality.datasets._excerpt import shipped_excerpt
from locality.errors import BadInput, DataUnavailable


def dataset_is_well_formed(spec: DatasetSpec, data: Dataset, split: Split) -> None:
    """Images have the declared shape, number and type; labels are one whole number each."""
    assert (data.name, data.split, data.shape) == (spec.name, split, spec.shape)
    assert len(data) == spec.count(split)
    assert data.data.shape == (len(data), spec.shape.d)
    assert data.data.dtype in (torch.uint8, torch.float32)
    assert data.is_8bit or torch.isfinite(data.data).all()
    if data.labels is not None:
        assert data.labels.shape == (len(data),)
        assert data.labels.dtype == torch.int64


def dataset_is_repeatable(spec: DatasetSpec, data: Dataset, split: Split) -> None:
    """Loading again, from an equal spec, gives the same bytes; known digests are the true ones."""
    again = DATASETS.parse(_text(spec)).load(split)
    assert again is not data
    assert again.fingerprint == data.fingerprint
    known = spec.known_fingerprint(split)
    assert known is None or data.fingerprint == known


def splits_share_no_image(train: Dataset, test: Dataset) -> None:
    """No test image is a training image."""
    seen = {row.numpy().tobytes() for row in train.data}
    assert not any(row.numpy().tobytes() in seen for row in test.data)


def first_takes_a_prefix(data: Dataset) -> None:
    """first(n) is the first n images, another content, and refuses what does not exist."""
    part = data.first(2)
    assert torch.equal(part.data, data.data[:2])
    assert part.fingerprint != data.fingerprint
    assert data.first(None) is data
    for bad in (0, len(data) + 1):
        with pytest.raises(BadInput, match=f"give 1..{len(data)}"):
            data.first(bad)


def info_is_complete(spec: DatasetSpec) -> None:
    """Title, origin, licence and a sentence; help and ranges for every option."""
    assert all((spec.info.title, spec.info.source, spec.info.licence))
    assert spec.info.about.endswith(".")
    assert type(spec).__doc__
    for about in type(spec).params().values():
        assert about.help.endswith(".")


def absence_is_explained(spec: DatasetSpec, empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the files: a text that tells how to get them, and the same text as the error."""
    monkeypatch.setenv("LOCALITY_DATA", str(empty))
    monkeypatch.setenv("XDG_DATA_HOME", str(empty))
    text = spec.missing()
    if not text:  # made or shipped: works anywhere
        assert len(spec.load("test"))
        return
    assert "Run `" in text or "Put it under LOCALITY_DATA" in text or "path" in text
    assert spec.count("train") is None or spec.count("train")
    held_out = shipped_excerpt(spec)
    if held_out is not None:
        assert torch.equal(spec.load("test").data, held_out.data)
        assert spec.count("test") == len(held_out) == spec.excerpt
    for split in ("train",) if held_out is not None else ("train", "test"):
        with pytest.raises(DataUnavailable) as caught:
            spec.load(split)
        assert text in str(caught.value)


def _text(spec: DatasetSpec) -> str:
    key = spec.key()
    return f"{key.pop('name')}:" + ",".join(f"{option}={value}" for option, value in key.items())
