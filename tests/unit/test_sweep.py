"""The sweep over an edit's strength: against plain loops; who takes part; lines; kept, shipped; the command."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from locality.datasets import Source, slug
from locality.edits import EDITS, parse_edit
from locality.errors import BadInput, UnknownName
from locality.fields.mass import mass_fractions_of_draws, mass_fractions_of_rows
from locality.store import Store, default_store
from locality.studies import (
    Sweep,
    SweepPlan,
    finish,
    fit_wiener,
    pixels_along,
    run_sweep,
    ship_sweep,
    shipped_sweeps,
    trained_networks,
)
from locality.studies.sweep.participants import chance_around
from locality.studies.sweep.plan import bends, fit_line, row_of
from locality.types import ImageShape, Pixel
from tests import benches
from tests.shell import Shell, refused

SHAPE = ImageShape(1, 8, 8)
EDIT = parse_edit("pattern:X,strength=0.5")
ABOUT_WIENER = {"model": "wiener", "quantity": "non_locality", "against": "strength"}
PLAN = SweepPlan(sigma=1.5, strengths=(0.0, 0.5, 1.0), pixels=3, draws=3)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "store", tmp_path / "shipped")
    yield made
    made.close()


def network(root: Path, dataset: str, name: str, seed: int = 0, text: str = "resnet:channels=8") -> Path:
    """A network with random weights, where those trained on a dataset lie."""
    return Path(benches.network(root / "networks" / f"{slug(dataset)}-{name}", seed, dataset, text=text))


def plain(made: Sweep) -> str:
    """All numbers as one text, in which a number that is not defined equals itself."""
    return json.dumps(made.to_json(), sort_keys=True).replace("NaN", "null")


# --- masses


def naive(field: np.ndarray, pixel: Pixel, mask: np.ndarray) -> list[float]:
    """The three shares of one field, by loops."""
    total = on = around = around_on = far = 0.0
    for row in range(8):
        for col in range(8):
            mass = abs(float(field[row, col]))
            total += mass
            on += mass * mask[row, col]
            if (row, col) != pixel:
                around += mass
                around_on += mass * mask[row, col]
            far += mass * (math.hypot(row - pixel.row, col - pixel.col) > 4)
    return [on / total, around_on / around, far / total]


def test_masses_are_those_of_plain_loops() -> None:
    fields = torch.randn(2, 4, 64, generator=torch.Generator().manual_seed(0))
    pixels, mask = [Pixel(0, 0), Pixel(5, 2)], EDIT.pattern(SHAPE) != 0  # type: ignore[attr-defined]

    def at(draws: torch.Tensor) -> np.ndarray:
        means = draws.double().mean(dim=1).reshape(2, 8, 8).numpy()
        return np.mean([naive(f, p, mask.numpy()) for f, p in zip(means, pixels, strict=True)], axis=0)

    found = mass_fractions_of_draws(fields, pixels, SHAPE, mask)
    assert np.allclose(found.values, at(fields))
    left_out = np.stack([at(fields[:, [j for j in range(4) if j != i]]) for i in range(4)])
    assert np.allclose(found.stderrs, np.sqrt(3 / 4 * ((left_out - left_out.mean(0)) ** 2).sum(0)))
    assert found.draws == 4
    exact = mass_fractions_of_rows(fields[:, 0], pixels, SHAPE, mask)
    assert np.allclose(exact.values, at(fields[:, :1]))
    assert exact.draws is None
    assert np.isnan(exact.stderrs).all()


def test_masses_where_something_is_missing() -> None:
    fields = torch.ones(1, 1, 64)
    without = mass_fractions_of_draws(fields, [Pixel(0, 0)], SHAPE, None)
    assert math.isnan(without.values[0])
    assert math.isnan(without.stderrs[2])  # one draw
    assert without.values[2] == pytest.approx(sum(math.hypot(r, c) > 4 for r in range(8) for c in range(8)) / 64)
    zero = torch.stack([torch.ones(1, 64), torch.zeros(1, 64)])
    mask = torch.ones(8, 8, dtype=torch.bool)
    found = mass_fractions_of_draws(zero, [Pixel(0, 0), Pixel(1, 1)], SHAPE, mask)
    assert found.values[0] == 1.0  # zero fields are left out


def test_pixels_along_a_mask() -> None:
    mask = EDIT.pattern(SHAPE) != 0  # type: ignore[attr-defined]
    few = pixels_along(mask, SHAPE, 5)
    assert len(set(few)) == 5
    assert all(mask[pixel] for pixel in few)
    assert pixels_along(mask, SHAPE, 1000) == [Pixel(*place) for place in torch.nonzero(mask).tolist()]
    assert pixels_along(None, SHAPE, 5) == [Pixel(3, 3)]


# --- the study


def test_predictions_are_those_of_the_edited_sets(store: Store) -> None:
    """Low-rank rows against the filter that is decomposed for each strength, from the edited set by name."""
    made = finish(run_sweep(Source.parse("digits"), EDIT, plan=PLAN, store=store))
    assert [row["strength"] for row in made.rows] == [0.0, 0.5, 1.0]
    mask = EDIT.pattern(SHAPE) != 0  # type: ignore[attr-defined]
    assert made.chance == pytest.approx(float(mask.double().mean()))
    for row, name in zip(
        made.rows, ("digits", "digits+pattern:X,strength=0.5", "digits+pattern:X,strength=1"), strict=True
    ):
        rows = finish(fit_wiener(Source.parse(name), store=store)).matrix(1.5).reshape(8, 8, 8, 8)
        each = [naive(rows[tuple(pixel)].numpy(), Pixel(*pixel), mask.numpy()) for pixel in made.pixels]
        values = [row[quantity] for quantity in ("mass_on_pattern", "mass_without_own", "non_locality")]
        assert np.allclose(values, np.mean(each, axis=0), atol=1e-5)
    masses = [row["mass_on_pattern"] for row in made.rows]
    assert masses[0] < masses[1] < masses[2]


@pytest.mark.parametrize("text", ["tie:X", "blur:1"])
def test_other_edits_are_swept_too(store: Store, text: str) -> None:
    made = finish(run_sweep(Source.parse("digits"), parse_edit(text), plan=PLAN, store=store))
    beyond = [row["non_locality"] for row in made.rows]
    assert beyond[0] != pytest.approx(beyond[2], abs=1e-3)
    assert math.isnan(made.rows[0]["mass_on_pattern"]) is (text == "blur:1")


def test_networks_take_part_where_they_are_trained(store: Store) -> None:
    """By the name they have among those of the edited set; at strength 0 the one of the same architecture."""
    half, whole = (f"digits+{EDIT.scaled(c).text()}" for c in (0.5, 1.0))
    for dataset, name, seed, text in (
        (half, "mine", 1, "resnet:channels=8"),
        (whole, "mine", 2, "resnet:channels=8"),
        (half, "other", 3, "resnet:channels=16"),
        ("digits", "plain", 4, "resnet:channels=8"),
    ):
        network(store.local, dataset, name, seed, text)
    source = Source.parse("digits")
    made = finish(run_sweep(source, EDIT, plan=PLAN, store=store))
    learned = [(row["model"], row["strength"], row["network"]) for row in made.rows if row["model"] != "wiener"]
    assert learned == [
        ("mine", 0.0, "digits-plain"),
        ("mine", 0.5, f"{slug(half)}-mine"),
        ("other", 0.5, f"{slug(half)}-other"),
        ("mine", 1.0, f"{slug(whole)}-mine"),
    ]
    assert made.notes == ["other: no network of its architecture is trained on the images as they are."]
    assert all(row["mass_on_pattern_stderr"] > 0 for row in made.rows if row["model"] == "mine")
    lines = made.fits()
    points = made.curve("mine", "non_locality")
    assert [point[0] for point in points] == [0.0, 0.5, 1.0]
    line = stats.linregress([point[0] for point in points], [point[1] for point in points])
    found = fit_line(points)
    assert found is not None
    assert not lines, "three points leave one degree of freedom"
    assert found["slope"] == pytest.approx(line.slope)
    assert found["slope_stderr"] == pytest.approx(line.stderr)
    assert found["r2"] == pytest.approx(line.rvalue**2)
    only = finish(run_sweep(source, EDIT, networks=["other"], plan=PLAN, store=store))
    assert {row["model"] for row in only.rows} == {"wiener", "other"}
    with pytest.raises(UnknownName, match=r"Unknown network trained on edited digits images 'nobody'.*mine, other\."):
        finish(run_sweep(source, EDIT, networks=["nobody"], plan=PLAN, store=store))


def test_a_network_trained_at_strength_0_stands_for_the_images_as_they_are(store: Store) -> None:
    """By its name, before one of the same architecture: it is listed nowhere else."""
    for dataset, name, seed in (
        (f"digits+{EDIT.scaled(0.5).text()}", "mine", 1),
        (f"digits+{EDIT.scaled(0.0).text()}", "mine", 2),
        ("digits", "plain", 3),
    ):
        network(store.local, dataset, name, seed)
    made = finish(run_sweep(Source.parse("digits"), EDIT, plan=PLAN, store=store))
    learned = {row["strength"]: row["network"] for row in made.rows if row["model"] == "mine"}
    assert learned == {0.0: "digits-pattern-mask-X-strength-0-mine", 0.5: "digits-pattern-mask-X-strength-0.5-mine"}
    assert [one.name for one in trained_networks("digits", store=store)] == ["plain"]


def test_fields_of_networks_are_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    network(store.local, f"digits+{EDIT.text()}", "mine", 1)
    first = finish(run_sweep(Source.parse("digits"), EDIT, plan=PLAN, store=store))
    monkeypatch.setattr("locality.studies.models.Trained.load", lambda *_: pytest.fail("computed again"))
    again = finish(run_sweep(Source.parse("digits"), EDIT, plan=PLAN, store=store))
    assert plain(again) == plain(first)


def test_lines() -> None:
    """None through one point or two; a slope's interval by Student's t, with one degree of freedom 12.7 errors wide."""
    assert fit_line(points_of([(0.0, 1.0)])) is None
    assert fit_line(points_of([(1.0, 1.0), (1.0, 2.0)])) is None
    assert fit_line(points_of([(0.0, 1.0), (1.0, 3.0)])) is None
    three = fit_line(points_of([(0.0, 0.0), (1.0, 1.1), (2.0, 2.0)]))
    assert three is not None
    assert three["slope"] == pytest.approx(1.0)
    assert three["slope_high"] - three["slope"] == pytest.approx(12.706 * three["slope_stderr"], rel=1e-3)
    flat = fit_line(points_of([(0.0, 1.0), (1.0, 1.0), (2.0, 1.0)]))
    assert flat is not None
    assert math.isnan(flat["r2"])


def points_of(pairs: list[tuple[float, float]], error: float = math.nan) -> list[tuple[float, float, float]]:
    return [(x, y, error) for x, y in pairs]


def test_a_curve_that_saturates_is_no_line() -> None:
    """c^2 / (c^2 + s) bends; a straight one does not, nor does one that is straight within its errors."""
    strengths = [0.0, 0.25, 0.5, 0.75, 1.0]
    saturating = [(c, c * c / (c * c + 0.05)) for c in strengths]
    assert bends(points_of(saturating))
    assert not bends(points_of([(c, 0.3 + 0.5 * c) for c in strengths]))
    assert not bends(points_of([(c, 0.3 + 0.5 * c + 0.06 * (-1) ** i) for i, c in enumerate(strengths)], error=0.05))
    assert bends(points_of(saturating, error=0.02))
    made = swept(saturating)
    assert made.fits() == []
    assert made.bent() == [{"model": "wiener", "quantity": "non_locality", "against": "strength"}]


def test_a_line_needs_four_points() -> None:
    straight = [(c, 0.3 + 0.5 * c) for c in (0.0, 0.25, 0.5, 0.75)]
    (line,) = swept(straight).fits()
    assert ABOUT_WIENER.items() <= line.items()
    assert line["slope"] == pytest.approx(0.5)
    assert swept(straight[:3]).fits() == []


def swept(points: list[tuple[float, float]]) -> Sweep:
    """A sweep of the prediction alone, its non-locality as given."""
    rows = [row_of("wiener", c, {"non_locality": y, "non_locality_stderr": None}, None, EDIT) for c, y in points]
    for row in rows:
        row |= dict.fromkeys(("mass_on_pattern", "mass_without_own"))
        row |= {f"{name}_stderr": None for name in ("mass_on_pattern", "mass_without_own")}
    return Sweep("digits", EDIT.text(), PLAN, [[0, 0]], 0.25, 0.2, rows, [], [])


def test_chance_is_that_of_a_field_without_a_pattern(store: Store) -> None:
    """A field of equal values has `chance` of its mass on the pattern, and without its own pixel the smaller share."""
    shape = ImageShape(1, 4, 4)
    mask = torch.zeros(4, 4, dtype=torch.bool)
    mask[0] = True
    flat = mass_fractions_of_rows(torch.ones(1, 16), [Pixel(0, 1)], shape, mask)
    assert flat.values[0] == pytest.approx(4 / 16)
    assert flat.values[1] == pytest.approx(chance_around(4 / 16, shape))
    assert chance_around(4 / 16, shape) == pytest.approx(3 / 15)


@pytest.mark.parametrize("name", [name for name, cls in EDITS.items() if not cls.dial])
def test_edits_without_a_dial_are_refused(store: Store, name: str) -> None:
    with pytest.raises(BadInput, match=f"The edit {name} is all or nothing"):
        finish(run_sweep(Source.parse("digits"), EDITS[name](), plan=PLAN, store=store))


def test_bad_strengths_and_pixels(store: Store) -> None:
    with pytest.raises(BadInput, match=r"give at least one strength, each once"):
        SweepPlan(strengths=(0.5, 0.5))
    with pytest.raises(BadInput, match=r"tie:strength=2\.0 is outside \[0, 1\]"):
        finish(run_sweep(Source.parse("digits"), parse_edit("tie:X"), plan=SweepPlan(strengths=(2.0,)), store=store))
    with pytest.raises(BadInput, match=r"Pixel 8,0 is outside the 8x8 image"):
        finish(run_sweep(Source.parse("digits"), EDIT, pixel=Pixel(8, 0), plan=PLAN, store=store))


def test_shipped_sweeps_come_back_without_weights(store: Store, tmp_path: Path) -> None:
    source = Source.parse("digits")
    network(store.local, f"digits+{EDIT.text()}", "mine", 1)
    made = finish(run_sweep(source, EDIT, plan=PLAN, store=store))
    path = ship_sweep(source, made, "the command", tmp_path / "shipped", store=store)
    assert path.name == "digits-pattern-mask-X-strength-0.5.safetensors"
    empty = Store(tmp_path / "empty", tmp_path / "shipped")
    found: list[Sweep] = shipped_sweeps(source, parse_edit("pattern:X,strength=3"), store=empty)
    assert len(found) == 1
    assert plain(found[0]) == plain(made)
    assert found[0].curve("mine", "non_locality") == made.curve("mine", "non_locality")
    assert shipped_sweeps(source, parse_edit("pattern:W"), store=empty) == []
    assert shipped_sweeps(Source.parse("digits", 100), EDIT, store=empty) == []
    empty.close()


# --- the command


def test_command(shell: Shell, tmp_path: Path) -> None:
    folder = network(default_store().local, f"digits+{EDIT.text()}", "mine", 1)
    words = ("sweep", "digits", "--edit", "pattern:X", "--strengths", "0,0.5,1", "--sigma", 1.5, "--draws", 2)
    try:
        result = shell(*words, "--pixel", "3,3", "--json", "--ship", tmp_path)
        assert result.code == 0, result.err
        reported = json.loads(result.out, parse_constant=lambda name: pytest.fail(name))
        assert {"model", "strength", "mass_on_pattern", "non_locality"} <= set(reported["rows"][0])
        assert [row["model"] for row in reported["rows"]] == ["wiener", "wiener", "wiener", "mine"]
        assert reported["pixels"] == [[3, 3]]
        assert reported["rows"][0]["mass_on_pattern_stderr"] is None
        assert Path(reported["shipped"]).exists()
        text = shell(*words)
        assert "on the pattern" in text.out
        assert "No line, the curve is bent: " in text.out or "R^2" in text.out
    finally:
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--edit", "patern:W"), r"Unknown edit 'patern'"),
        (("--strengths", "a,b"), r"--strengths 'a,b' is not a list of numbers"),
        (("--strengths", "1,1"), r"--strengths=\(1\.0, 1\.0\): give at least one strength, each once"),
        (("--edit", "mirror"), r"The edit mirror is all or nothing"),
        (("--pixel", "99,0"), r"Pixel 99,0 is outside"),
        (("--sigma", "0"), r"--sigma=0\.0 is outside"),
        (("--networks", "nobody"), r"Unknown network trained on edited digits images 'nobody'"),
    ],
)
def test_command_refuses(shell: Shell, words: tuple[str, ...], message: str) -> None:
    import re

    assert re.search(message, refused(shell("sweep", "digits", *words)))


def test_edits_are_listed(shell: Shell) -> None:
    listed = shell("edits", "--json").json
    assert [row["name"] for row in listed] == sorted(EDITS)
    text = shell("edits").out
    assert "pattern" in text
    assert "measured on the edited images" in text


@pytest.mark.parametrize("command", ["field", "stats"])
def test_commands_take_edited_datasets(shell: Shell, tmp_path: Path, command: str) -> None:
    more = ("--pixel", "3,3", "--sigma", 1, "--out", tmp_path / "f.npz") if command == "field" else ()
    result = shell(command, "digits+pattern:X,strength=1", *more, "--json")
    assert result.code == 0, result.err
    assert refused(shell(command, "digits+patern:X", *more)).startswith("Error: Unknown edit 'patern'")
