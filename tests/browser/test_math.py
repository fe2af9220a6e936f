"""The browser measures what it draws: its numbers equal Python's on the same fields."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from playwright.sync_api import Page

from locality.fields.codec import LEARNED_SIGMAS, TABLE_SIGMAS, decode_rows, encode_rows, mix_rows, weights_about
from locality.fields.jacobian import compare, mass_on, measure
from locality.fields.radius import half_mass_radius
from locality.schedule import t_of
from locality.types import ImageShape, Pixel
from pages._ui.lab.mount import pack
from tests.browser.conftest import computed

pytestmark = pytest.mark.browser


def run(page: Page, expression: str, value: Any = None) -> Any:
    return computed(page, "lab/math", expression, value)


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
    assert ours == pytest.approx([1 / (1 + sigma**2), t_of(sigma)], rel=1e-6)


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


def test_a_buffer_from_python(page: Page) -> None:
    arrays = {
        "codes": np.arange(7, dtype=np.uint8),  # ends off a multiple of four
        "wide": np.array([1e-300, -2.5], np.float64),
        "eps": np.array([-32000, 7], np.int16),
    }
    head, *found = run(
        page,
        "(({ head, arrays: a }) => [head, [...a.codes], [...a.wide], [...a.eps]])(m.unpack(Uint8Array.from(v)))",
        list(pack({"name": "σ", "n": 3}, arrays)),
    )
    assert (head["name"], head["n"]) == ("σ", 3)
    assert found == [array.tolist() for array in arrays.values()]


def test_mass_on_a_mask(page: Page, fields: tuple[torch.Tensor, torch.Tensor]) -> None:
    mask = fields[1] > 0.3
    pixel = Pixel(4, 2)
    ours = run(
        page,
        "[m.massOn(v[0], v[1]), m.massOn(v[0], v[1], v[2])]",
        [fields[0].flatten().tolist(), mask.flatten().int().tolist(), pixel.row * 7 + pixel.col],
    )
    own = torch.zeros(9, 7, dtype=torch.bool)
    own[pixel] = True
    size = fields[0].abs().double()
    assert ours[0] == pytest.approx(mass_on(fields[0], mask), abs=1e-9)
    assert ours[1] == pytest.approx(float(size[mask & ~own].sum() / size[~own].sum()), abs=1e-9)


def test_a_stored_field_is_that_of_the_nearest_stored_pixel(page: Page) -> None:
    sigmas, pixels = list(LEARNED_SIGMAS), [[1, 1], [1, 3], [3, 1], [3, 3]]
    rows = torch.randn(len(sigmas), 4, 35, generator=torch.Generator().manual_seed(3))
    codes, scale = encode_rows(rows)
    head = {"sigmas": sigmas, "pixels": pixels}
    ours = run(
        page,
        "(s => [s.pixel, [...s.field]])(m.storedField({ head: v[0], arrays: { codes: Uint8Array.from(v[1]), "
        "scale: Float32Array.from(v[2]) } }, [4, 2.9], v[3], 35))",
        [head, codes.flatten().tolist(), scale.flatten().tolist(), 1.3],
    )
    near = weights_about(sigmas, 1.3)
    truth = mix_rows(codes[[k for k, _ in near], 3], scale[[k for k, _ in near], 3], [weight for _, weight in near])
    assert ours[0] == [3, 3]
    assert ours[1] == pytest.approx(truth.tolist(), rel=1e-5, abs=1e-6)
    assert run(page, "[0.9, 1, 5, 5.6].map(s => m.within([1, 2, 5], s))") == [False, True, True, False]


def test_numbers_as_words(page: Page) -> None:
    found = run(page, "[0, 1.23456, 0.00012345, 123456, NaN, Infinity].map(m.short)")
    assert found == ["0", "1.23", "1.2e-4", "1.2e+5", "–", "–"]
    assert run(page, "[m.percent(0.12345), m.percent(NaN), m.mean([1, 2, 6]), m.mean([])]") == ["12.3 %", "–", 3, 0]


# --- colours


def test_colours_are_symmetric_about_white(page: Page) -> None:
    low, middle, high = computed(page, "lab/colours", "[m.colour(-1), m.colour(0), m.colour(1)]")
    assert middle == [247, 247, 247]
    assert low[2] > low[0]
    assert high[0] > high[2]
    linear = computed(page, "lab/colours", "[-3, 1, 2].map(x => m.toUnit(x, 2, false))")
    assert linear == pytest.approx([-1.0, 0.5, 1.0])
    log = computed(page, "lab/colours", "[2, 0, 0.02, -0.02].map(x => m.toUnit(x, 2, true))")
    assert log[:2] == pytest.approx([1.0, 0.0])
    assert log[2] == pytest.approx(-log[3])
    assert log[2] > 0.1, "a hundredth of the limit is visible"


def test_a_field_is_painted_with_the_colours_of_its_values(page: Page) -> None:
    painted, colours = computed(
        page,
        "lab/colours",
        "(p => { m.paintField([-2, 0, 2], 2, false, p)\n return [[...new Uint8Array(p.buffer)], "
        "v.map(x => m.colour(x))] })"
        "(new Uint32Array(3))",
        [-1, 0, 1],
    )
    assert [painted[4 * i : 4 * i + 4] for i in range(3)] == [[*colour, 255] for colour in colours]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_noisy_image_is_painted_as_a_network_sees_it(page: Page, channels: int) -> None:
    generator = torch.Generator().manual_seed(4)
    x0 = torch.rand(channels, 6, generator=generator) * 2 - 1
    eps = torch.randint(-90, 90, (channels, 6), generator=generator)
    ours = computed(
        page,
        "lab/colours",
        "(p => { m.paintImage(v[0], v[1], 0.8, v[2], 6, p); return [...new Uint8Array(p.buffer)] })"
        "(new Uint32Array(6))",
        [x0.flatten().tolist(), eps.flatten().tolist(), channels],
    )
    seen = (x0 + 0.8 * eps / 32) / (1 + 0.8**2) ** 0.5
    truth = ((seen + 1) * 127.5).clamp(0, 255).expand(3, 6)
    assert torch.tensor(ours).reshape(6, 4)[:, :3].T.sub(truth).abs().max() <= 0.51, "to the nearest of 256"


# --- half-mass radius, and the learned field that is known best


def test_half_mass_radius(page: Page, fields: tuple[torch.Tensor, torch.Tensor]) -> None:
    own = torch.zeros(9, 7)
    own[4, 2] = 2.0
    for pixel in (Pixel(0, 0), Pixel(4, 2), Pixel(8, 6)):
        for field in (*fields, own):
            ours = run(page, "m.halfMassRadius(v[0], 9, 7, v[1], v[2])", [field.flatten().tolist(), *pixel])
            assert ours == pytest.approx(float(half_mass_radius(field.flatten(), pixel, ImageShape(1, 9, 7))), abs=1e-9)


def known_best(page: Page, live: dict[str, Any] | None, pixel: list[int], sigma: float) -> Any:
    """From a table of two pixels and two noise levels, 32 draws; its fields are constant."""
    return computed(
        page,
        "explorer/estimate",
        """(() => { const codes = new Uint8Array(2 * 2 * 6).fill(255), scale = Float32Array.from([1, 2, 3, 4])
            const table = { head: { sigmas: [0.5, 2], pixels: [[0, 0], [1, 2]], draws: 32 },
                arrays: { codes, scale, error: Float32Array.from([.1, .2, .3, .4]) } }
            const [live, pixel, sigma] = v
            const drawn = live && { learned: Float32Array.from(live.learned), stderr: Float32Array.from(live.stderr),
                draws: live.draws, radiusError: .5 }
            const best = m.best(table, drawn, pixel, sigma, 6)
            const stderr = best.stderr && [...best.stderr]
            return { ...best, field: [...best.field], stderr, about: m.about(best, pixel) } })()""",
        [live, pixel, sigma],
    )


def test_stored_draws_come_first_and_others_are_added(page: Page) -> None:
    stored = known_best(page, None, [0, 0], 0.5)
    assert stored["field"] == pytest.approx([1.0] * 6)
    assert (stored["draws"], stored["live"], stored["relative"]) == (32, 0, pytest.approx(0.1))
    assert stored["about"] == "Mean of 32 Jacobian rows, s.e. 10 % (stored)"
    live = {"learned": [5.0] * 6, "stderr": [0.6] * 6, "draws": 16}
    both = known_best(page, live, [0, 0], 0.5)
    assert both["draws"] == 48
    assert both["field"] == pytest.approx([(32 * 1 + 16 * 5) / 48] * 6)
    assert both["stderr"] == pytest.approx([0.6 * (16 / 48) ** 0.5] * 6)
    assert both["radiusError"] == pytest.approx(0.5 * (16 / 48) ** 0.5)
    assert "32 of them stored" in both["about"]


def test_more_draws_are_never_noisier_than_the_stored_ones(page: Page) -> None:
    """Sixteen of the same noise beside 32 stored: the error is that of 48, below that of the stored field."""
    one = 0.1 * 32**0.5  # error of a single draw
    live = {"learned": [1.0] * 6, "stderr": [one / 4] * 6, "draws": 16}
    stored, both = known_best(page, None, [0, 0], 0.5), known_best(page, live, [0, 0], 0.5)
    assert both["relative"] == pytest.approx(one / 48**0.5)
    assert both["relative"] < stored["relative"]


def test_fewer_draws_never_replace_more(page: Page) -> None:
    """At a pixel beside the stored one: its own field is shown once it has as many draws."""
    few = {"learned": [5.0] * 6, "stderr": [0.6] * 6, "draws": 16}
    kept = known_best(page, few, [0, 1], 0.5)
    assert (kept["draws"], kept["live"], kept["pixel"]) == (32, 0, [0, 0])
    assert "of the stored pixel beside, 0, 0" in kept["about"]
    own = known_best(page, {**few, "draws": 32}, [0, 1], 0.5)
    assert (own["draws"], own["live"], own["pixel"]) == (32, 32, [0, 1])
    assert own["field"] == pytest.approx([5.0] * 6)


def test_a_dark_page_has_a_dark_centre(page: Page) -> None:
    light, dark = computed(page, "lab/colours", "[false, true].map(dark => [-1, 0, 1].map(u => m.colour(u, dark)))")
    assert min(light[1]) > 240
    assert max(dark[1]) < 50
    assert all(max(end) > 200 for end in (dark[0], dark[2])), "both ends are bright"
    paint = "(() => { const p = new Uint32Array(1); m.paintField([0], 1, true, p, true); return p[0] & 255 })()"
    assert computed(page, "lab/colours", paint) == dark[1][0]


def test_the_sweep_ends_where_it_began(page: Page) -> None:
    path = computed(page, "explorer/sweep", "[0, 0.3, 0.6, 0.9, 1].map(s => m.swept(s, [0.05, 20], 2))")
    assert path[0] == pytest.approx(0.1)
    assert path[2] == pytest.approx(20)
    assert path[-1] == pytest.approx(2)
    assert path[0] < path[1] < path[2] > path[3] > path[4]


def test_the_curve_of_a_learned_field_has_a_band_where_it_has_errors(page: Page) -> None:
    draw = (
        "m.radiusChart({ wide: 600, range: [.05, 20], predicted: [[.1, 1], [10, 5]], learned: v, here: 1, empty: '' })"
    )
    sure = computed(page, "explorer/radii", draw, [[0.1, 1.5, 0.2], [1, 2, 0.1], [10, 4, 0.5]])
    bare = computed(page, "explorer/radii", draw, [[0.1, 1.5, 0], [10, 4, 0]])
    assert (sure.count("<polygon"), sure.count("<circle")) == (1, 3)
    assert "Learned, σ 1: 2.00 ± 0.10 px" in sure
    assert (bare.count("<polygon"), bare.count("<circle")) == (0, 2)
