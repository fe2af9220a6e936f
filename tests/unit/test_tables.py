"""Coded fields: the bound that is promised, zero rows, and a decoder as the browser has it."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from locality.fields.codec import (
    LEARNED_SIGMAS,
    SIGMA_HIGH,
    SIGMA_LOW,
    TABLE_SIGMAS,
    decode_rows,
    encode_rows,
    mix_rows,
    weights_about,
)


def rows(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0)) ** 3


def test_error_is_below_the_promised_share_of_the_maximum() -> None:
    """Half a step of the square root: |error| <= (sqrt(|v| m) + m / 508) / 127, at most 0.8 % of m."""
    values = rows(40, 300)
    codes, scale = encode_rows(values)
    error, top = (decode_rows(codes, scale) - values).abs(), values.abs().amax(dim=1, keepdim=True)
    assert (error <= 0.008 * top).all()
    assert (error <= ((values.abs() * top).sqrt() + top / 508) / 127 * 1.0001).all()


def test_signs_zeros_and_extremes_are_kept() -> None:
    codes, scale = encode_rows(torch.tensor([[0.0, -2.0, 2.0, 1e-9]]))
    assert codes.tolist() == [[128, 1, 255, 128]]
    assert scale.tolist() == [2.0]
    assert decode_rows(codes, scale).tolist() == [[0.0, -2.0, 2.0, 0.0]]


def test_zero_rows_have_scale_zero() -> None:
    codes, scale = encode_rows(torch.tensor([[0.0, 0.0], [0.0, 4.0]]))
    assert scale.tolist() == [0.0, 4.0]
    assert codes[0].tolist() == [128, 128]
    assert decode_rows(codes, scale).tolist() == [[0.0, 0.0], [0.0, 4.0]]


def test_scales_are_per_row_for_any_leading_axes() -> None:
    values = rows(2, 3, 5) * torch.tensor([1e-6, 1.0, 1e6])[None, :, None]
    codes, scale = encode_rows(values)
    assert codes.shape == values.shape
    assert scale.shape == (2, 3)
    for i in range(2):
        for j in range(3):
            alone_codes, alone_scale = encode_rows(values[i, j])
            assert torch.equal(codes[i, j], alone_codes)
            assert torch.equal(scale[i, j], alone_scale)


def test_bytes_are_row_major_as_the_browser_reads_them() -> None:
    """Pixel p's field starts at byte p * q; v = s|s| scale with s = (byte - 128) / 127, in plain Python."""
    values = rows(4, 6)
    codes, scale = encode_rows(values)
    payload, scales = codes.contiguous().numpy().tobytes(), scale.numpy().tobytes()
    assert len(payload) == 24
    assert len(scales) == 16
    for p in range(4):
        for q in range(6):
            s = (payload[p * 6 + q] - 128) / 127
            assert s * abs(s) * float(scale[p]) == pytest.approx(float(decode_rows(codes, scale)[p, q]), rel=1e-5)


def test_noise_levels_span_the_slider_evenly_in_the_logarithm() -> None:
    assert len(TABLE_SIGMAS) == 12
    assert (TABLE_SIGMAS[0], TABLE_SIGMAS[-1]) == (pytest.approx(SIGMA_LOW), pytest.approx(SIGMA_HIGH))
    steps = [math.log(b / a) for a, b in pairwise(TABLE_SIGMAS)]
    assert max(steps) - min(steps) < 1e-9
    assert set(LEARNED_SIGMAS) < set(TABLE_SIGMAS)


@pytest.mark.parametrize("sigma", [0.05, 0.06, 0.4, 3.0, 15.0, 20.0])
def test_weights_reproduce_a_cubic_of_ln_sigma(sigma: float) -> None:
    def cubic(level: float) -> float:
        x = math.log(level)
        return 2 - x + 0.5 * x**2 - 0.1 * x**3

    near = weights_about(TABLE_SIGMAS, sigma)
    assert len(near) == 4
    assert sum(weight * cubic(TABLE_SIGMAS[k]) for k, weight in near) == pytest.approx(cubic(sigma), abs=1e-9)


def test_weights_at_a_level_and_outside_are_those_of_the_level() -> None:
    for asked, level in ((TABLE_SIGMAS[4], 4), (1e-6, 0), (1e6, 11)):
        weights = dict(weights_about(TABLE_SIGMAS, asked))
        assert weights.pop(level) == pytest.approx(1.0, abs=1e-9)
        assert list(weights.values()) == pytest.approx([0.0] * 3, abs=1e-9)


@pytest.mark.parametrize(("levels", "count"), [([0.5], 1), ([0.5, 2.0], 2), ([0.1, 0.3, 1.0], 3)])
def test_fewer_levels_than_four(levels: list[float], count: int) -> None:
    near = weights_about(levels, 0.4)
    assert len(near) == count
    assert sum(weight for _, weight in near) == pytest.approx(1.0)


def test_a_field_that_falls_with_the_noise_is_mixed_to_the_accuracy_of_its_codes() -> None:
    """shape / sigma^2 between levels: what mixing the scales linearly misses by 15 %."""
    shape, sigma = rows(200), 7.0
    near = weights_about(TABLE_SIGMAS, sigma)
    codes, scale = encode_rows(torch.stack([shape / TABLE_SIGMAS[k] ** 2 for k, _ in near]))
    found = mix_rows(codes, scale, [weight for _, weight in near])
    assert (found - shape / sigma**2).abs().max() <= 0.008 * shape.abs().max() / sigma**2


def test_rows_of_a_pixel_that_never_varies_stay_zero() -> None:
    codes, scale = encode_rows(torch.zeros(4, 6))
    assert mix_rows(codes, scale, [0.25] * 4).tolist() == [0.0] * 6
