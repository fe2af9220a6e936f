"""The tables of where models miss a network and what a step costs: by hand, and on a set small enough to run."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import bands, steps
from locality.datasets import Source
from locality.denoisers.parts.bands import Bands
from locality.store import Store
from locality.studies import BenchPlan, bench, finish
from locality.studies.benchmark.setup import enter
from tests.benches import network, shrinking

pytestmark = pytest.mark.usefixtures("one_thread")
DIGITS = Source.parse("digits")


def test_what_is_explained_by_band_is_that_of_projections() -> None:
    """Against projection matrices, with the delta method's error; one band is all of an image."""
    generator = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(12, 5, generator=generator, dtype=torch.float64)).Q
    theirs, away = (torch.randn(30, 12, generator=generator, dtype=torch.float64) for _ in range(2))
    mean, ours = theirs.mean(dim=0), theirs + 0.5 * away
    found = bands.explained_by_band(Bands(basis, (2, 5)), ours, theirs, mean)
    first, second = (basis[:, part] @ basis[:, part].T for part in (slice(0, 2), slice(2, 5)))
    for one, project in zip(found, (first, second, torch.eye(12).double() - first - second), strict=True):
        missed, there = (((ours - theirs) @ project).square().sum(1), ((theirs - mean) @ project).square().sum(1))
        ratio = float(missed.mean() / there.mean())
        assert one.mean == pytest.approx(1.0 - ratio)
        spread = (missed - ratio * there).numpy() / float(there.mean())
        assert one.stderr == pytest.approx(float(np.std(spread, ddof=1)) / 30**0.5)
    whole = bands.explained_by_band(Bands.one(12), ours, theirs, mean)
    assert len(whole) == 1
    assert whole[0].mean == pytest.approx(1.0 - float((ours - theirs).square().sum() / (theirs - mean).square().sum()))


def test_the_table_of_a_small_set(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Walks are those of the benchmark; shares add up to all; the images named are those of the least R2."""
    reference = network(tmp_path / "net")
    with shrinking("half", 0.5):
        monkeypatch.setattr(bands, "MODELS", ("wiener", "half"))
        monkeypatch.setattr(bands, "BenchPlan", lambda **how: BenchPlan(reference=reference, steps=3, **how))
        text = list(bands.lines(DIGITS, store, count=5))
        plan = BenchPlan(reference=reference, models=("half",), steps=3, count=5, features="none", ceiling="none")
        made = finish(bench(DIGITS, plan, store=store))
        own = next(one for one in enter(DIGITS, plan, store).competitors if one.name == "half")
        drawn = bands.walks(enter(DIGITS, plan, store), own, store)["x0_hat"]
    assert drawn.shape == (3, 5, 64)
    rows = [line for line in text if re.match(r"\| \d", line)]
    assert rows[0].startswith("| 1-2 |")
    for column in (2, 3):
        assert sum(float(row.split(" | ")[column - 1].rstrip("%")) for row in rows) == pytest.approx(100.0, abs=0.5)
    values = made.values("half", "r2_final")
    assert f"image {int(values.argmin()) + 1} {float(values.min()):.2f}" in text[-1]


def test_a_step_is_timed_beside_the_network_s(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows by time, beside the scores of a benchmark that is there."""
    reference = network(tmp_path / "net")
    with shrinking("half", 0.5):
        monkeypatch.setattr(steps, "MODELS", ("wiener", "half", "not in the table"))
        plan = BenchPlan(reference=reference, models=("half",), steps=3, count=3, features="none", ceiling="none")
        made = finish(bench(DIGITS, plan, store=store))
        rows = [line.strip("| ").split(" | ") for line in steps.lines(DIGITS, made, store)]
    assert {row[1] for row in rows} == {"`wiener`", "`half`", f"`{reference}`"}
    spent = [float(row[2]) for row in rows]
    assert spent == sorted(spent)
    own = next(row for row in rows if row[1] == f"`{reference}`")
    assert own[3:5] == ["1", ""]
    assert next(row for row in rows if row[1] == "`wiener`")[5] == "1"
