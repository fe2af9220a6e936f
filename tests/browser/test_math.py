"""The browser measures what it draws: its numbers equal Python's on the same fields."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import torch
from playwright.sync_api import Page

from locality.fields.codec import TABLE_SIGMAS, decode_rows, encode_rows, mix_rows, weights_about
from locality.fields.jacobian import compare, measure
from locality.schedule import alpha_bar_of, t_of
from locality.types import Pixel

pytestmark = pytest.mark.browser
_MODULE = Path(__file__).resolve().parents[2] / "pages/_ui/explorer/math.js"


def run(page: Page, expression: str, value: Any) -> Any:
    """Evaluate an expression of `m` (the module) and `v` (the value) in the browser."""
    code = base64.b64encode(_MODULE.read_bytes()).decode()
    load = "const m = await import('data:text/javascript;base64,' + code)"
    return page.evaluate(f"async ([code, v]) => {{ {load}; return {expression} }}", [code, value])


@pytest.fixture
def fields() -> tuple[torch.Tensor, torch.Tensor]:
    a, b = torch.randn(2, 9, 7, generator=torch.Generator().manual_seed(1))
    return a, 0.6 * a + b


def test_agreement(page: Page, fields: tuple[torch.Tensor, torch.Tensor]) -> None:
    a, b = fields
    truth = compare(a, b, Pixel(4, 2))
    ours = run(
        page,
        "[m.pearson(v[0], v[1]), m.pearson(v[0], v[1], 4 * 7 + 2), m.cosine(v[0], v[1])]",
        [a.flatten().tolist(), b.flatten().tolist()],
    )
    assert ours == pytest.approx([truth.pearson, truth.pearson_off_centre, truth.cosine], abs=1e-9)


def test_width(page: Page, fields: tuple[torch.Tensor, torch.Tensor]) -> None:
    for pixel in (Pixel(0, 0), Pixel(4, 2), Pixel(8, 6)):
        truth = measure(fields[0], pixel, outside=3.0)
        ours = run(
            page,
            "[m.radius(v[0], 9, 7, v[1], v[2]), m.outside(v[0], 9, 7, v[1], v[2], 3)]",
            [fields[0].flatten().tolist(), *pixel],
        )
        assert ours == pytest.approx([truth.radius, truth.outside], abs=1e-9)


def test_decoding(page: Page, fields: tuple[torch.Tensor, torch.Tensor]) -> None:
    codes, scale = encode_rows(torch.stack(fields).reshape(2, -1))
    ours = run(
        page,
        "[...m.decodeRow(Uint8Array.from(v[0]), Float32Array.from(v[1]), 1, 63)]",
        [codes.flatten().tolist(), scale.tolist()],
    )
    assert ours == pytest.approx(decode_rows(codes, scale)[1].tolist(), rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("sigma", [0.05, 0.5, 1.0, 20.0])
def test_schedule_labels(page: Page, sigma: float) -> None:
    ours = run(page, "[m.alphaBar(v), m.timestep(v)]", sigma)
    assert ours == pytest.approx([alpha_bar_of(sigma), t_of(sigma)], rel=1e-6)


def test_position_between_levels(page: Page) -> None:
    levels = list(TABLE_SIGMAS)
    assert run(page, "m.between(v, v[3])", levels) in ([2, pytest.approx(1.0)], [3, pytest.approx(0.0)])
    middle = (levels[4] * levels[5]) ** 0.5
    assert run(page, f"m.between(v, {middle})", levels) == [4, pytest.approx(0.5)]
    assert run(page, "m.between(v, 1e-9)", levels) == [0, 0]
    assert run(page, "m.between(v, 1e9)", levels) == [len(levels) - 2, 1]


@pytest.mark.parametrize("sigma", [0.01, 0.05, 0.07, 0.5, 3.3, 19.0, 50.0])
def test_rows_between_levels(page: Page, sigma: float) -> None:
    levels = list(TABLE_SIGMAS)
    near = weights_about(levels, sigma)
    ours = run(page, "m.about(v[0], v[1])", [levels, sigma])
    assert [k for k, _ in ours] == [k for k, _ in near]
    assert [weight for _, weight in ours] == pytest.approx([weight for _, weight in near], abs=1e-12)

    noise = torch.randn(12, 63, generator=torch.Generator().manual_seed(2))
    codes, scale = encode_rows(noise / torch.tensor(levels)[:, None])
    chosen = [k for k, _ in near]
    mixed = run(
        page,
        "[...m.mixRows(v[2].map(([k, w]) => [Uint8Array.from(v[0]), Float32Array.from(v[1]), k, w]), 63)]",
        [codes.flatten().tolist(), scale.tolist(), near],
    )
    truth = mix_rows(codes[chosen], scale[chosen], [weight for _, weight in near])
    assert mixed == pytest.approx(truth.tolist(), rel=1e-5, abs=1e-6)


def test_colours_are_symmetric_about_white(page: Page) -> None:
    low, middle, high = run(page, "[m.colour(-1), m.colour(0), m.colour(1)]", None)
    assert middle == [247, 247, 247]
    assert low[2] > low[0]
    assert high[0] > high[2]
    linear = run(page, "[-3, 1, 2].map(x => m.toUnit(x, 2, false))", None)
    assert linear == pytest.approx([-1.0, 0.5, 1.0])
    log = run(page, "[2, 0, 0.02, -0.02].map(x => m.toUnit(x, 2, true))", None)
    assert log[:2] == pytest.approx([1.0, 0.0])
    assert log[2] == pytest.approx(-log[3])
    assert log[2] > 0.1, "a hundredth of the limit is visible"
