"""The shared nouns."""

from __future__ import annotations

import pytest

from locality.types import ImageShape, Pixel
from locality.work import Progress


def test_image_shape_counts_and_prints() -> None:
    shape = ImageShape(3, 32, 16)
    assert shape.d == 3 * 32 * 16
    assert str(shape) == "3x32x16"
    assert tuple(shape) == (3, 32, 16)


def test_pixel_is_row_then_column() -> None:
    assert Pixel(2, 5) == (2, 5)
    assert (Pixel(2, 5).row, Pixel(2, 5).col) == (2, 5)


@pytest.mark.parametrize(
    ("done", "total", "share"), [(0, 4, 0.0), (1, 4, 0.25), (4, 4, 1.0), (9, 4, 1.0), (-1, 4, 0.0), (0, 0, 0.0)]
)
def test_progress_is_a_share(done: float, total: float, share: float) -> None:
    assert Progress(done, total).fraction == share
