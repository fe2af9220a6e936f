"""What is shipped of AFHQ's cats: bases within their stated error, real photographs, and the licence on all of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from locality.datasets import DATASETS, Source
from locality.denoisers import DENOISERS
from locality.device import Compute
from locality.linear.wiener import WienerFilter, coordinates
from locality.store import Store
from locality.studies import finish, fit_wiener
from locality.types import Pixel

SHIPPED = Path(__file__).resolve().parents[2] / "cache" / "shipped"
SETS = ["afhq_cats", "afhq_cats:resolution=64"]
MOST = {"afhq_cats": 12e6, "afhq_cats:resolution=64": 25e6}  # bytes of a basis


@pytest.fixture(params=SETS)
def source(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Source:
    monkeypatch.delenv("LOCALITY_DATA", raising=False)
    return Source.parse(request.param)


def test_the_statistics_are_small_and_found_without_images(source: Source) -> None:
    payload = SHIPPED / "wiener" / f"{source.slug}.safetensors"
    assert payload.stat().st_size < MOST[source.text]
    wiener = finish(fit_wiener(source))
    assert (wiener.count, wiener.shape) == (4653, source.shape)
    assert wiener.error is not None
    assert wiener.error.sigma == 0.1


@pytest.mark.parametrize("name", SETS)
def test_rows_are_within_the_stated_error_of_the_exact_ones(name: str) -> None:
    """Other pixels and noise levels than it was measured at: it may be a quarter more there."""
    source = Source.parse(name)
    if not source.available:
        pytest.skip("the photographs are not under LOCALITY_DATA")
    near = finish(fit_wiener(source))
    assert near.error is not None
    x0 = source.train.x0(slice(None)).double()
    away = (x0 - x0.mean(dim=0)) / (len(x0) - 1) ** 0.5
    few = len(away) < source.shape.d
    gram = away @ away.T if few else away.T @ away  # A A', or S = A' A
    hw = source.shape.h * source.shape.w
    pixels = torch.randperm(hw, generator=torch.Generator().manual_seed(1))[:60]
    coords = (torch.arange(3)[:, None] * hw + pixels).flatten()
    for sigma in (0.1, 0.18, 0.7, 3.0, 30.0):
        root = torch.linalg.cholesky(gram + sigma**2 * torch.eye(len(gram)))
        solved = torch.cholesky_solve((away if few else gram)[:, coords], root).T
        # Row q of S (S + sigma^2 I)^-1 is a_q' (A A' + sigma^2 I)^-1 A
        true, found = solved @ away if few else solved, near.rows(coords, sigma)
        assert _largest(true, found) < 1.25 * near.error.row
        true, found = (rows.reshape(3, 60, 3, hw).sum(dim=(0, 2)) for rows in (true, found))
        assert _largest(true, found) < 1.25 * near.error.field


def _largest(true: torch.Tensor, found: torch.Tensor) -> float:
    return float(((found - true).abs().amax(dim=1) / true.abs().amax(dim=1)).max())


def test_one_eye_holds_the_other(source: Source) -> None:
    """The claim of the first page: at sigma 1.2 the other eye is the brightest place far from the clicked one."""
    wiener = finish(fit_wiener(source))
    for eye, other in _pairs(source):
        field = wiener.rows(coordinates(source.shape, eye), 1.2).sum(dim=0).reshape(source.shape).sum(dim=0)
        side = source.shape.w
        rows, cols = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
        far = torch.hypot((rows - eye.row).double(), (cols - eye.col).double()) > side / 5
        best = int((field * far).argmax())
        assert abs(best // side - other.row) + abs(best % side - other.col) <= side // 10


def _pairs(source: Source) -> list[tuple[Pixel, Pixel]]:
    left, right = source.spec.landmarks().values()
    return [(left, right), (right, left)]


def test_photographs_are_there_without_the_zip_and_are_the_first_held_out(source: Source, tmp_path: Path) -> None:
    assert len(source.held_out) == source.spec.count("test") == 48
    assert source.shows_held_out
    text = (SHIPPED / "afhq_cats" / "LICENSE").read_text()
    assert source.spec.info.licence in text
    assert "NAVER" in text


@pytest.mark.parametrize("name", SETS)
def test_they_are_the_real_ones(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source.parse(name)
    if not source.available:
        pytest.skip("the photographs are not under LOCALITY_DATA")
    whole = source.held_out.data
    monkeypatch.delenv("LOCALITY_DATA")
    assert torch.equal(Source.parse(name).held_out.data, whole[:48])


def test_whatever_is_made_from_a_set_whose_licence_passes_on_names_it() -> None:
    checked = 0
    for path in SHIPPED.rglob("*.json"):
        manifest = json.loads(path.read_text())
        facts = manifest.get("about", manifest)
        if not isinstance(facts, dict) or "dataset" not in facts:
            continue
        terms = Source.parse(facts["dataset"]).licence()
        if "source" in terms:
            checked += 1
            assert terms.items() <= facts.items(), path
    assert checked >= 4


def test_a_denoiser_made_of_them_cleans(source: Source) -> None:
    model = finish(DENOISERS["wiener"]().fit(source, Compute(), Store(SHIPPED.parent / "none", SHIPPED)))
    assert isinstance(model, WienerFilter)
    x0 = source.held_out.x0(slice(0, 16))
    noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(0))
    error = float((model(x0 + 0.5 * noise, 0.5) - x0).square().sum(dim=1).mean())
    assert error < 0.25 * 0.25 * source.shape.d
    assert DATASETS["afhq_cats"].info.passes_on
