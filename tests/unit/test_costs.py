"""Costs of a step: exponents of known growth, pooled images by hand, points and refusals."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from locality.datasets import Source
from locality.errors import BadInput, UnknownName
from locality.memory import PeakMemory, peak_memory
from locality.store import Store
from locality.studies import CostPlan, Costs, finish, measure_costs, ship_costs, shipped_costs
from locality.studies.costs.study import pooled
from tests.made_up import made_up
from tests.shell import Shell, refused
from tests.small_sets import COLOUR, eight_bit, floats

FEW = CostPlan(images=(20, 40), pools=(1, 2), batches=(1, 3), base_images=30, base_batch=2, sigmas=(0.5,), repeats=1)


def made_of(points: list[tuple[float, float, float | None]], axis: str = "N") -> Costs:
    rows = [{"model": "m", "axis": axis, axis: value, "seconds": s, "bytes": b} for value, s, b in points]
    return Costs("made", FEW, tuple(rows), ())


def test_exponents_of_power_laws_are_theirs() -> None:
    found = made_of([(n, 3e-4 * n**1.5, 80.0) for n in (10, 20, 40, 80)]).exponents()
    assert [(row["axis"], row["quantity"], row["n"]) for row in found] == [("N", "seconds", 4), ("N", "bytes", 4)]
    assert found[0]["exponent"] == pytest.approx(1.5)
    assert found[0]["stderr"] == pytest.approx(0.0, abs=1e-9)
    assert found[1]["exponent"] == pytest.approx(0.0)


def test_error_of_an_exponent_is_least_squares_own() -> None:
    """numpy's covariance of a fitted line, scaled by the residuals."""
    values, noise = np.array([1.0, 2, 4, 8, 16]), np.array([0.1, -0.2, 0.05, 0.1, -0.1])
    spent = np.exp(0.7 * np.log(values) + noise)
    slope, covariance = np.polyfit(np.log(values), np.log(spent), 1, cov=True)
    found = made_of([(float(v), float(s), None) for v, s in zip(values, spent, strict=True)]).exponents()
    assert found[0]["exponent"] == pytest.approx(slope[0])
    assert found[0]["stderr"] == pytest.approx(covariance[0, 0] ** 0.5)
    assert (found[1]["exponent"], found[1]["stderr"], found[1]["n"]) == (None, None, 0)


def test_two_points_have_a_slope_without_an_error() -> None:
    found = made_of([(1.0, 1.0, 4.0), (2.0, 2.0, 4.0)]).exponents()
    assert (found[0]["exponent"], found[0]["stderr"]) == (pytest.approx(1.0), None)
    assert made_of([(1.0, 1.0, 4.0)]).exponents()[0]["exponent"] is None


def test_pooled_images_are_means_of_squares() -> None:
    data = eight_bit(6).data
    small = pooled(data, 2)
    assert small.shape == (COLOUR.c, 2, 3)  # 5 x 6 pixels: the last row is left out
    whole = data.data.reshape(6, *COLOUR)[:, :, :4].double()
    means = whole.reshape(6, COLOUR.c, 2, 2, 3, 2).mean(dim=(3, 5))
    assert (small.data.data.reshape(6, *small.shape) - means).abs().max() <= 0.5
    assert small.data.is_8bit
    assert torch.equal(pooled(data, 1).data.data, data.data)
    assert small.fingerprint != data.fingerprint
    assert pooled(floats(6).data, 2).data.data.dtype == torch.float32


def test_points_stand_on_their_axes(store: Store) -> None:
    made = finish(measure_costs(Source.parse("digits"), ["optimal", "nearest", "optimal"], FEW, store=store))
    reported = [(p["model"], p["axis"], p["N"], p["d"], p["batch"]) for p in made.points]
    one = [("N", 20, 64, 2), ("N", 40, 64, 2), ("d", 30, 64, 2), ("d", 30, 16, 2), ("batch", 30, 64, 1)]
    assert reported[:6] == [("optimal", *point) for point in (*one, ("batch", 30, 64, 3))]
    assert [model for model, *_ in reported] == ["optimal"] * 6 + ["nearest"] * 6
    assert all(p["seconds"] > 0 for p in made.points)
    assert set(made.to_json()) == {"dataset", "plan", "points", "exponents", "notes", "about"}


def test_time_that_grows_with_the_batch_is_seen(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that takes 4 ms an image, by a clock that nothing else on the machine moves."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("locality.studies.costs.study.time", SimpleNamespace(perf_counter=lambda: clock.now))

    def slow(x: Tensor, sigma: float) -> Tensor:
        clock.now += 0.004 * len(x)
        return x

    plan = CostPlan(images=(20,), pools=(1,), batches=(1, 2, 4, 8), base_images=20, sigmas=(1.0,), repeats=2)
    with made_up("slow", lambda images, reference: slow):
        made = finish(measure_costs(Source.parse("digits"), ["slow"], plan, store=store))
    exponent = next(r for r in made.exponents() if (r["axis"], r["quantity"]) == ("batch", "seconds"))
    assert exponent["exponent"] == pytest.approx(1.0, abs=1e-6)


def test_memory_of_a_step_is_what_it_takes() -> None:
    """40 MB for a moment; where the system lets the peak be set back."""
    peak = PeakMemory()
    before = peak.start()
    if before is None:
        pytest.skip("this system does not let a peak be set back")
    big = torch.ones(10_000_000)
    del big
    after = peak.read()
    assert after is not None
    assert 35e6 < after - before < 60e6
    again = peak.start()
    assert again is not None
    assert again < after - 30e6  # the earlier peak is no peak of this step
    assert (peak_memory() or 0) > 1e7


def test_what_cannot_be_measured_is_noted(store: Store) -> None:
    plan = CostPlan(images=(20, 5000), pools=(1, 2, 4), batches=(1,), base_images=20, sigmas=(1.0,), repeats=1)
    made = finish(measure_costs(Source.parse("digits"), ["ls:window=7"], plan, store=store))
    assert {point["N"] for point in made.points} == {20}
    assert made.notes[0] == "digits has 1,617 training images: no point with more."
    assert made.notes[1] == "Images of 1x8x8 are averaged to no less than 3 pixels a side."
    assert {point["d"] for point in made.points} == {64, 16}


def test_options_that_small_images_do_not_allow_leave_their_point_out(store: Store) -> None:
    plan = CostPlan(images=(20,), pools=(1, 2), batches=(1,), base_images=20, sigmas=(1.0,), repeats=1)
    made = finish(measure_costs(Source.parse("digits"), ["ls:window=9"], plan, store=store))
    assert {point["d"] for point in made.points} == {64}
    assert "20 images of 1x4x4, batch 4 is left out: ls:window='9' is not a window of 4x4 images" in made.notes[-1]


def test_models_that_have_one_size_are_refused(store: Store) -> None:
    digits = Source.parse("digits")
    with pytest.raises(UnknownName, match="Unknown model 'unet'"):
        next(measure_costs(digits, ["unet"], FEW, store=store))
    with pytest.raises(BadInput, match="follows a trained network, which has one size"):
        next(measure_costs(digits, ["ls:window=calibrated"], FEW, store=store))
    with pytest.raises(BadInput, match="Name at least one model"):
        next(measure_costs(digits, [], FEW, store=store))
    with pytest.raises(BadInput, match=r"CostPlan:pools=\(\): give at least one value"):
        CostPlan(pools=())


def test_the_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    shell = Shell(capsys, monkeypatch)
    few = ("costs", "digits", "--model", "optimal", "--images", "20,40", "--pools", "1,2", "--batches", "1,2")
    got = shell(*few, "--base", 20, "--repeats", 1, "--json").json
    assert len(got["points"]) == 6
    assert {row["axis"] for row in got["exponents"]} == {"N", "d", "batch"}
    assert got["plan"]["threads"] == 1
    text = shell(*few, "--base", 20, "--repeats", 1).out
    assert text.splitlines()[0].split() == ["model", "axis", "N", "d", "batch", "seconds", "MB"]
    assert "--images 'a' is not a list of whole numbers" in refused(shell(*few[:4], "--images", "a"))
    assert "--base=1 is outside" in refused(shell(*few, "--base", 1))
    assert "Missing option '--model'" in refused(shell("costs", "digits"))


def test_shipped_costs_come_back(tmp_path: Path) -> None:
    source = Source.parse("digits")
    plan = CostPlan(
        images=(20, 40), pools=(1, 2), batches=(1, 2), base_images=20, base_batch=1, sigmas=(1.0,), repeats=1
    )
    home = Store(tmp_path / "local", tmp_path / "shipped")
    made = finish(measure_costs(source, ["wiener"], plan, store=home))
    ship_costs(source, made, "the command", tmp_path / "shipped", store=home)
    found = shipped_costs("digits", store=home)
    assert found is not None
    assert found.points == made.points
    assert found.plan == plan
    assert "cores" in found.notes[-1]
    assert shipped_costs("mnist", store=home) is None
    home.close()
