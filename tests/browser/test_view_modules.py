"""What the views of single pages compute in the browser, against Python on the same numbers."""

from __future__ import annotations

import math
import re
from itertools import pairwise

import numpy as np
import pytest
import torch
from playwright.sync_api import Page

from locality.edits import COLOURS, draw_mask, mask_text, parse_edit
from locality.fields.codec import decode_rows, encode_rows
from locality.fields.corrected import noise_of_mean
from locality.fields.jacobian import compare, mass_on, measure
from locality.fields.radius import half_mass_radius
from locality.linear.gram import decompose_images
from locality.linear.moments import estimate_moments
from locality.linear.planted import Planted
from locality.linear.wiener import WienerFilter, coordinates
from locality.studies import finish
from locality.types import ImageShape, Pixel
from pages._ui.explorer.basis import _packed
from tests.browser.conftest import computed
from tests.buffer import unpacked
from tests.small_sets import eight_bit

pytestmark = pytest.mark.browser
SIGMA, SIDE = 0.7, 8


@pytest.mark.parametrize("few", [False, True], ids=["many", "few"])
@pytest.mark.parametrize(("channels", "colour"), [(1, "white"), (3, "white"), (3, "red-green"), (3, "blue-yellow")])
def test_planted_fields(page: Page, channels: int, colour: str, few: bool) -> None:
    """From the file the browser is sent, at several strengths, after the mask was painted over.

    Of images fewer than coordinates the basis is not whole, and the pattern lies outside of it in part.
    """
    shape = ImageShape(channels, SIDE, SIDE)
    images = eight_bit(40 if few else 300, shape)
    base = (
        finish(decompose_images(images.data.data, shape))
        if few
        else WienerFilter.fit(estimate_moments([images.data.data]), shape)
    )
    pattern = parse_edit(f"pattern:ring,colour={colour}")
    z = torch.randn(len(images.data), dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    coupling = (z - z.mean()) @ images.data.x0(slice(None)).double() / (len(z) - 1)
    planted = Planted(base, pattern.weights(shape), coupling, 1.1)  # type: ignore[attr-defined]
    head, arrays = unpacked(_packed(base, colour if channels == 3 else "white", "file"))
    kinds = {"codes": "Int16Array", "coloured": "Int16Array"}
    made = ", ".join(f"{name}: {kinds.get(name, 'Float64Array')}.from(v.arrays.{name})" for name in arrays)
    ours = computed(
        page,
        "explorer/basis+edit/plant",
        f"""(() => {{ const basis = new m.Basis({{ head: v.head, arrays: {{ {made} }} }}, {SIDE}, {SIDE})
            const plant = new m.Plant(basis, v.first, Float64Array.from(v.coupling), 1.1, v.tint), p = 3 * {SIDE} + 5
            plant.repaint(v.mask)
            return [0, 0.5, -2].map(c => [...plant.field(basis.row(p, {SIGMA}), p, {SIGMA}, c)]) }})()""",
        {
            "head": head,
            "arrays": {name: array.tolist() for name, array in arrays.items()},
            "first": draw_mask("W", SIDE, SIDE).ravel().tolist(),
            "mask": draw_mask("ring", SIDE, SIDE).ravel().tolist(),
            "coupling": planted.spectra[1].tolist(),
            "tint": list(COLOURS[colour] if channels == 3 else (1.0,)),
        },
    )
    coords = coordinates(shape, Pixel(3, 5))
    for strength, field in zip((0.0, 0.5, -2.0), ours, strict=True):
        rows = planted.rows(coords, SIGMA, strength).reshape(channels, channels, -1).sum(dim=(0, 1))
        assert (torch.tensor(field) - rows).abs().max() < 5e-4 * rows.abs().max(), strength  # 16-bit codes


@pytest.mark.parametrize("name", ["W", "ring", "negative"])
def test_masks_are_written_and_read_as_in_python(page: Page, name: str) -> None:
    signs = np.sign(np.arange(9 * 7, dtype=np.int8).reshape(9, 7) % 5 - 2)
    mask = signs if name == "negative" else draw_mask(name, 9, 7)
    text, back = computed(
        page,
        "edit/paint",
        "[m.maskText(Int8Array.from(v[0]), 9, 7), [...m.readMask(v[1], 63)]]",
        [mask.ravel().tolist(), mask_text(mask)],
    )
    assert text == mask_text(mask)
    assert back == mask.ravel().tolist()


def test_a_pixel_off_the_mask_moves_to_its_middle(page: Page) -> None:
    mask = draw_mask("ring", 9, 9)
    found = computed(page, "edit/paint", "m.onMask(v, [0, 0], 9, 9)", mask.ravel().tolist())
    assert mask[tuple(found)]
    assert not mask[0, 0]
    assert all(place % 2 == 0 for place in found), "where learned fields are stored"
    assert computed(page, "edit/paint", "m.onMask(v[0], v[1], 9, 9)", [mask.ravel().tolist(), found]) == found


def test_a_brush_stays_inside_and_a_line_has_no_gaps(page: Page) -> None:
    assert computed(page, "edit/paint", "m.brush([0, 0], 3, 4, 5)") == [0, 1, 5, 6]
    assert computed(page, "edit/paint", "m.brush([1, 1], 2, 4, 5)") == [6, 7, 11, 12]
    line = computed(page, "edit/paint", "m.cellsBetween([0, 0], [3, 7])")
    assert (line[0], line[-1]) == ([0, 0], [3, 7])
    assert all(max(abs(a[0] - b[0]), abs(a[1] - b[1])) == 1 for a, b in pairwise(line))
    around = computed(page, "edit/paint", "m.edges([0, 1, 1, 0], 2, 2)")  # two pixels that meet at a corner
    assert around == "M1 0h1M1 1h1M1 0v1M2 0v1M0 1h1M0 2h1M0 1v1M1 1v1"


def test_the_numbers_of_four_fields(page: Page) -> None:
    fields = torch.randn(2, 9, 7, generator=torch.Generator().manual_seed(6))
    mask = torch.from_numpy(draw_mask("ring", 9, 7)) != 0
    n = computed(
        page,
        "edit/measured",
        "m.measured([v[0], null, v[1], null], [[4, 2], null, [8, 6], null], v[2], 9, 7, 3)",
        [*(field.flatten().tolist() for field in fields), mask.flatten().int().tolist()],
    )
    for place, field, pixel in ((0, fields[0], Pixel(4, 2)), (2, fields[1], Pixel(8, 6))):
        truth = measure(field, pixel, outside=3.0)
        assert n["mass"][place] == pytest.approx(mass_on(field, mask), abs=1e-9)
        assert n["without"][place] != n["mass"][place]
        assert [n["radius"][place], n["outside"][place]] == pytest.approx([truth.radius, truth.outside], abs=1e-9)
    assert np.isnan([n["mass"][1], n["radius"][3]]).all(), "no number of a field that is not there"
    table = computed(page, "edit/measured", "m.measuredTable(v[0], v[1], 3, 63)", [n, mask.flatten().int().tolist()])
    assert f"{100 * n['mass'][0]:.1f} %" in table


def test_the_chart_of_masses_and_its_words(page: Page) -> None:
    networks = [
        {"title": "UNet", "ink": "red", "points": [[0, 0.1], [0.5, 0.38]]},
        {"title": "DiT", "ink": "blue", "points": []},
    ]
    what = {"curve": [[0, 0.2], [0.5, 0.4], [1, 0.47]], "points": networks, "chance": 0.12, "high": 1, "level": -0.5}
    words = computed(page, "edit/masses", "m.massWords(v)", {**what, "name": "strength"})
    assert words.endswith("against its strength: predicted 40.0 % at -0.5; UNet 10.0 % at 0, 38.0 % at 0.5")
    svg = computed(page, "edit/masses", "m.massChart(v, 400)", {**what, "name": "radius"})
    assert [f">{text}<" in svg for text in ("50 %", "60 %", "by chance", "UNet", "DiT", "radius of the edit")] == [
        *(True, False, True, True, False, True)
    ]
    assert svg.count("<circle") == 3, "two points and the mark of their legend"
    bare = computed(page, "edit/masses", "m.massChart(v, 400)", {**what, "name": "", "curve": [], "points": []})
    assert ">20 %<" in bare


def test_the_explorer_s_numbers(page: Page) -> None:
    a, b = torch.randn(2, 9, 7, generator=torch.Generator().manual_seed(7))
    n = computed(
        page,
        "explorer/numbers",
        "m.numbersOf({ field: v[0], pixel: [4, 2] }, { field: v[1], pixel: [4, 2], partner: v[0] }, 9, 7, 3)",
        [a.flatten().tolist(), b.flatten().tolist()],
    )
    truth = compare(a, b, Pixel(4, 2))
    assert n["pearson"] == pytest.approx([truth.pearson, truth.pearson_off_centre], abs=1e-9)
    assert n["cosine"][0] == pytest.approx(truth.cosine, abs=1e-9)
    both = half_mass_radius(torch.stack([a, b]).flatten(1), Pixel(4, 2), ImageShape(1, 9, 7))
    assert n["radius"] == pytest.approx(both.tolist(), abs=1e-9)


def test_r_without_the_noise_of_the_draws(page: Page) -> None:
    """Of draws of one field with much noise: r of their mean is too small, the corrected one is that of the field."""
    generator = torch.Generator().manual_seed(3)
    truth, noise = torch.randn(9 * 7, generator=generator), 3.0 * torch.randn(16, 9 * 7, generator=generator)
    truth[4 * 7 + 2] = 20.0
    draws, own = truth + noise, 4 * 7 + 2
    value = [truth.tolist(), draws.mean(dim=0).tolist(), list(noise_of_mean(draws, own))]
    learned = "{ field: v[1], pixel: [4, 2], partner: v[0], noise: v[2] }"
    ask = f"m.numbersOf({{ field: v[0], pixel: [4, 2] }}, {learned}, 9, 7, 3)"
    n = computed(page, "explorer/numbers", ask, value)
    assert n["pearson"][1] < 0.85
    mean = torch.cat([draws[:, :own], draws[:, own + 1 :]], dim=1).double().mean(dim=0)
    length = float((mean - mean.mean()).square().sum())
    want = n["pearson"][1] / (1 - value[2][1] / length) ** 0.5
    assert n["corrected"][1] == pytest.approx(want, rel=1e-5)
    assert all(abs(1 - n["corrected"][i]) < abs(1 - n["pearson"][i]) for i in range(2))
    without = computed(page, "explorer/numbers", ask, [*value[:2], None])
    assert all(math.isnan(r) for r in without["corrected"]), "no draws are known one by one"
    table = computed(page, "explorer/numbers", f"m.numbersTable({ask}, 3)", value)
    shown = re.findall(r"<td>(-?\d\.\d+)</td>", table.partition("Agreement")[2])
    assert len(shown) == 6
    assert all(re.fullmatch(r"-?\d\.\d\d", one) for one in shown), "two decimals"


def test_the_curve_of_agreement_leaves_the_pixel_itself_out_and_clips_nothing(page: Page) -> None:
    a, b = torch.randn(2, 6, generator=torch.Generator().manual_seed(9))
    codes, scale = encode_rows(torch.stack([a, b]))
    points = computed(
        page,
        "explorer/charts",
        """(() => { const table = { head: { sigmas: [0.5, 2], pixels: [[1, 2]], draws: 32 },
            arrays: { codes: Uint8Array.from(v[0]), scale: Float32Array.from(v[1]) } }
            return m.agreementPoints(table, [1, 2], 5, () => Float32Array.from(v[2]), 6) })()""",
        [codes.flatten().tolist(), scale.flatten().tolist(), a.tolist()],
    )
    stored = decode_rows(codes, scale)
    want = [compare(a.reshape(2, 3), one.reshape(2, 3), Pixel(1, 2)).pearson_off_centre for one in stored]
    assert [s for s, _ in points] == [0.5, 2]
    assert [r for _, r in points] == pytest.approx(want, abs=1e-5)
    svg = computed(
        page,
        "explorer/charts",
        "m.agreementChart({ wide: 460, here: 1, empty: '', range: [.05, 20], points: [[.1, .9], [1, -.4], [2, -.7]] })",
    )
    high, low, lowest = map(float, re.findall(r'<circle cx="[\d.]+" cy="([\d.]+)"', svg))
    assert (lowest - low) / (low - high) == pytest.approx(0.3 / 1.3, abs=0.01), "where they are, none at the edge"


def test_an_axis_holds_every_point_and_its_error(page: Page) -> None:
    """r corrected for noise may exceed 1, and r of untrained networks be anything."""
    series = [{"points": [[0.1, 1.09, 0.06], [1, None], [2, 0.5]]}, {"points": [[0.1, -0.4, 0.1]]}]
    assert computed(page, "lab/svg", "m.holding(v, -0.2, 1)", series) == pytest.approx([-0.5, 1.15])
    assert computed(page, "lab/svg", "m.holding(v, -0.2, 1)", [{"points": [[1, 0.5]]}]) == [-0.2, 1]


def test_matrices_of_agreement(page: Page) -> None:
    a, b = torch.randn(2, 9, 7, generator=torch.Generator().manual_seed(8))
    value = [a.flatten().tolist(), b.flatten().tolist()]
    matrix = computed(page, "architectures/measures", "m.alike([v[0], null, v[1]], 'off_centre', 4 * 7 + 2)", value)
    truth = compare(a, b, Pixel(4, 2)).pearson_off_centre
    assert matrix[0] == [1, None, pytest.approx(truth, abs=1e-9)]
    assert matrix[1] == [None, None, None]
    assert matrix[2][0] == matrix[0][2]
    study = {
        "names": ["wiener", "unet", "dit"],
        **{
            f"pearson{more}": [[[i + 10 * j + k for j in range(3)] for i in range(3)] for k in range(2)]
            for more in ("", "_stderr", "_chance")
        },
    }
    part = computed(page, "architectures/measures", "m.studied(v, ['dit', 'mlp', 'wiener'], 1, 'pearson')", study)
    assert part["value"] == [[23, None, 3], [None, None, None], [21, None, 1]]
    curves = computed(
        page,
        "architectures/measures",
        "m.curvesOf([{ value: [[1, 2], [3, 4]] }, { value: [[5, 6], [7, 8]], stderr: [[0, 1], [2, 3]] }], 1, 2)",
    )
    assert curves == [[[3, None], [7, 2]], [[4, None], [8, 3]]]


def test_a_matrix_is_readable_on_any_colour_and_its_names_are_text(page: Page) -> None:
    entries = [{"title": "<b>", "colour": "red"}, {"title": "UNet", "colour": "blue"}]
    value = {"value": [[1, 0], [0, None]]}
    table = computed(page, "architectures/matrix", "m.matrixTable(v[0], v[1], 1)", [entries, value])
    assert "<b>" not in table
    assert table.count('aria-pressed="true"') == 1
    assert table.count("color:#fff") == 1, "white on dark red, black on white"
    assert "not computed" in table
    drawing = computed(page, "architectures/matrix", "m.matrixDrawing(v[0], v[1])", [entries, value])
    assert drawing["svg"].count("<rect") == 3
    assert drawing["wide"] > 2 * 74


def test_a_copy_is_told_from_a_near_image(page: Page) -> None:
    copy, other, alone = (
        computed(page, "samples/card", "m.distanceWords(...v)", value)
        for value in ([1.0, 4.0, 784], [1.0, 2.0, 784], [1.0, None, 784])
    )
    assert "A copy" in copy
    assert "RMS difference 5/255" in copy  # 1 / 28 of [-1, 1]
    assert "No copy" in other
    assert "copy" not in alone
