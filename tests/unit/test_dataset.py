"""Images in memory: ranges, chunks, fingerprints and refusals."""

from __future__ import annotations

import hashlib

import pytest
import torch
from torch import Tensor

from locality.dataset import Dataset
from locality.errors import BadInput
from locality.types import ImageShape

SHAPE = ImageShape(1, 2, 3)


def _made(data: Tensor, labels: Tensor | None = None, shape: ImageShape = SHAPE) -> Dataset:
    return Dataset("toy", "train", shape, data, labels)


@pytest.fixture
def eight_bit() -> Dataset:
    return _made(torch.arange(0, 240, 4, dtype=torch.uint8).reshape(10, 6), torch.arange(10))


def test_8_bit_pixels_become_minus_1_to_1() -> None:
    x0 = _made(torch.tensor([[0, 51, 102, 153, 204, 255]], dtype=torch.uint8)).x0(slice(None))
    assert x0.dtype == torch.float32
    assert x0[0].tolist() == pytest.approx([-1.0, -0.6, -0.2, 0.2, 0.6, 1.0], abs=1e-7)


def test_float_pixels_come_as_they_are_and_as_a_copy() -> None:
    data = torch.linspace(-2, 2, 12).reshape(2, 6)
    dataset = _made(data)
    assert not dataset.is_8bit
    x0 = dataset.x0(torch.tensor([1]))
    assert torch.equal(x0, data[1:])
    dataset.x0(slice(None)).zero_()
    assert data.abs().sum() > 0


def test_stored_pixels_are_never_changed_by_reading(eight_bit: Dataset) -> None:
    before = eight_bit.data.clone()
    eight_bit.x0(slice(None)).zero_()
    assert torch.equal(eight_bit.data, before)


@pytest.mark.parametrize("size", [1, 3, 10, 99])
def test_chunks_cover_every_image_once_in_order(eight_bit: Dataset, size: int) -> None:
    chunks = list(eight_bit.chunks(size))
    assert torch.equal(torch.cat(chunks), eight_bit.data)
    assert all(len(chunk) == size for chunk in chunks[:-1])
    assert chunks[0].data_ptr() == eight_bit.data.data_ptr()  # a view: no copy of the set


def test_fingerprint_is_the_sha256_of_header_and_pixels(eight_bit: Dataset) -> None:
    header = b"1x2x3:torch.uint8:10:"
    assert eight_bit.fingerprint == hashlib.sha256(header + eight_bit.data.numpy().tobytes()).hexdigest()


def test_fingerprint_sees_pixels_order_shape_type_and_not_name_or_labels(eight_bit: Dataset) -> None:
    data = eight_bit.data
    changed = data.clone()
    changed[3, 4] += 1
    others = [
        _made(changed),
        _made(data.flip(0)),
        _made(data[:9]),
        _made(data, shape=ImageShape(1, 3, 2)),
        _made(data.float()),
    ]
    prints = {eight_bit.fingerprint, *(other.fingerprint for other in others)}
    assert len(prints) == 6
    assert Dataset("other", "test", SHAPE, data).fingerprint == eight_bit.fingerprint
    assert _made(torch.cat([data, data], dim=1)[:, :6]).fingerprint == eight_bit.fingerprint  # strided storage


def test_first_keeps_images_and_labels(eight_bit: Dataset) -> None:
    few = eight_bit.first(4)
    assert torch.equal(few.data, eight_bit.data[:4])
    assert few.labels is not None
    assert few.labels.tolist() == [0, 1, 2, 3]
    assert few.fingerprint != eight_bit.fingerprint
    assert eight_bit.first(None) is eight_bit
    assert eight_bit.first(10) is eight_bit


@pytest.mark.parametrize("n", [0, -1, 11])
def test_first_refuses_numbers_out_of_range(eight_bit: Dataset, n: int) -> None:
    with pytest.raises(BadInput, match=rf"--first {n}: toy has 10 train images; give 1\.\.10\."):
        eight_bit.first(n)


def test_wrong_columns_and_types_are_refused() -> None:
    with pytest.raises(BadInput, match=r"toy: images of shape 1x2x3 need 6 columns, got \(4, 5\)\."):
        _made(torch.zeros(4, 5))
    with pytest.raises(BadInput, match=r"toy: pixels must be uint8 or float32, got torch\.float64\."):
        _made(torch.zeros(4, 6, dtype=torch.float64))
