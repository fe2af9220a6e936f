"""Arrays as pictures: colours, clipping, sheets, and texts that cannot break the page."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image

from locality.types import ImageShape
from pages._ui.images import Tile, _figure, contact_sheet, photo, signed


def test_photo_maps_minus_one_to_black_and_one_to_white_and_clips() -> None:
    picture = photo(torch.tensor([-1.0, 1.0, 0.0, 7.0]), ImageShape(1, 2, 2))
    assert picture[..., 0].tolist() == [[0, 255], [128, 255]]
    assert picture.shape == (2, 2, 3)


def test_photo_keeps_8_bit_pixels_and_the_order_of_channels() -> None:
    pixels = torch.arange(12, dtype=torch.uint8)
    picture = photo(pixels.float() / 127.5 - 1, ImageShape(3, 2, 2))
    assert picture[0, 1].tolist() == [1, 5, 9]


def test_signed_values_are_blue_white_and_red_and_symmetric() -> None:
    low, zero, high = signed(torch.tensor([[-2.0, 0.0, 2.0]]), 2.0)[0].tolist()
    assert zero == [255, 255, 255]
    assert low[2] > 2 * low[0]
    assert high[0] > 2 * high[2]
    assert signed(torch.zeros(1, 1), 0.0)[0, 0].tolist() == [255, 255, 255]


def test_contact_sheet_holds_every_picture_unblurred() -> None:
    pictures = [np.full((2, 3, 3), 10 * i, np.uint8) for i in range(5)]
    sheet = np.asarray(Image.open(io.BytesIO(contact_sheet(pictures, columns=2, scale=4, gap=1))))
    assert sheet.shape == (3 * 9 + 1, 2 * 13 + 1, 3)
    assert (sheet[1:9, 1:13] == 0).all()
    assert (sheet[19:27, 1:13] == 40).all()
    assert (sheet[19:27, 14:26] == 255).all()  # the sixth place is empty


def test_texts_of_a_picture_are_escaped() -> None:
    shown = _figure(Tile(np.zeros((1, 1, 3), np.uint8), 'a"><script>', caption="<b>"))
    assert "<script>" not in shown
    assert "<b>" not in shown
    assert 'alt="a&quot;&gt;&lt;script&gt;"' in shown
