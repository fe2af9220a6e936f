"""A newly painted pattern: its field by the low-rank update against full recomputations; latency in Chromium."""

from __future__ import annotations

import os
import statistics
import tempfile
from pathlib import Path

import torch
from playwright.sync_api import Page, sync_playwright

from benchmarks.browser import LAB
from benchmarks.timing import alternate_ms, median_ms
from locality.datasets import Source
from locality.edits.pattern import Pattern
from locality.linear.planted import Planted
from locality.linear.statistics import Statistics, covariance_of
from locality.linear.wiener import coordinates
from locality.studies import finish, fit_wiener, mask_of
from locality.types import Pixel
from tests.browser.conftest import FLAGS, find_browser, running_app

_SIGMA, _STRENGTH = 2.0, 0.5


def run() -> None:
    """Print the tables. The second needs Chromium; no images are needed."""
    print("| a new pattern and another pixel, strength 0.5, sigma 2 | fashion_mnist, d = 784 | cifar10, d = 3072 |")
    print("|---|---|---|")
    for title, cells in zip(
        _ROWS, zip(*(_update(name) for name in ("fashion_mnist", "cifar10")), strict=True), strict=True
    ):
        print(f"| {title} | {' | '.join(cells)} |")
    print()
    _browser()


_ROWS = (
    "low-rank update (ours): new pattern, new pixel, new noise level",
    "... the same pattern at another strength",
    "edited covariance, eigendecomposition, row",
    "... against ours",
    "edited covariance, Cholesky solve of one row (the least a full recomputation can do)",
    "... against ours",
    "largest difference of the fields, strengths 0.1, 0.5, 2, sigma 0.34, 1.2, 3.4",
    "... largest value of these fields",
)


def _update(name: str) -> list[str]:
    source, edit = Source.parse(name), Pattern(strength=_STRENGTH)
    # A filter of exactly orthonormal float64 arithmetic, so that both ways start from the same covariance.
    before = covariance_of(finish(fit_wiener(source)))
    base = before.wiener(source.shape)
    stage = source.edited((edit,)).stage(0)
    coupling, variance, _ = edit.coupling(stage)
    weights = edit.weights(source.shape)
    mask = mask_of(edit, source.shape)
    assert mask is not None
    coords = coordinates(source.shape, Pixel(*torch.nonzero(mask)[20].tolist()))

    def update() -> torch.Tensor:
        return Planted(base, weights, coupling, variance).rows(coords, _SIGMA, _STRENGTH)

    ready = Planted(base, weights, coupling, variance)
    columns, gram = ready.columns(_SIGMA)
    row = base.rows(coords, _SIGMA)

    def slide() -> torch.Tensor:
        return row + (columns[:, coords].T @ (ready.weights(gram, 0.7) * _SIGMA**2) @ columns).float()

    def edited() -> Statistics:
        after = edit.statistics(before, stage)
        assert after is not None
        return after

    def decompose() -> torch.Tensor:
        return edited().wiener(source.shape).rows(coords, _SIGMA)

    def solve() -> torch.Tensor:
        after = edited()
        return torch.cholesky_solve(after.cov[:, coords], _factor(after, _SIGMA)).T

    ours, full = alternate_ms(update, decompose, repeats=3)
    again, solved = alternate_ms(update, solve, repeats=3)
    differences, largest = [], 0.0
    for strength in (0.1, 0.5, 2.0):
        after = Pattern(strength=strength).statistics(before, stage)
        assert after is not None
        for sigma in (0.34, 1.2, 3.4):
            truth = torch.cholesky_solve(after.cov[:, coords], _factor(after, sigma)).T
            differences.append(float((ready.rows(coords, sigma, strength) - truth).abs().max()))
            largest = max(largest, float(truth.abs().max()))
    return [
        f"{ours:.1f} ms",
        f"{median_ms(slide):.2f} ms",
        f"{full:,.0f} ms",
        f"{full / ours:.0f}x",
        f"{solved:,.0f} ms",
        f"{solved / again:.0f}x",
        f"{max(differences):.1e}",
        f"{largest:.2g}",
    ]


def _factor(after: Statistics, sigma: float) -> torch.Tensor:
    return torch.linalg.cholesky(after.cov + sigma**2 * torch.eye(len(after.cov), dtype=torch.float64))


_FRAMES = """redraw => new Promise(done => { let n = 0, level = 0; const t0 = performance.now()
  const step = now => { level = (level + 0.02) % 2; n += 1; if (redraw) { lab.level = level; lab.draw() }
    now - t0 < 2000 ? requestAnimationFrame(step) : done(1000 * n / (now - t0)) }
  requestAnimationFrame(step) })"""
_DRAWS = """() => { const t0 = performance.now()
  for (let i = 0; i < 100; i++) { lab.level = 0.02 * i; lab.draw() }
  return (performance.now() - t0) / 100 }"""


def _browser() -> None:
    """From the pointer's event to the frame that shows the field, in the browser alone."""
    env = dict(os.environ)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=FLAGS)
        with running_app(Path(folder) / "cache", Path(folder) / "log", env) as url:
            rows = {name: _latency(browser.new_page(viewport={"width": 1440, "height": 1000}), url, name, side)
                    for name, side in (("fashion_mnist", 28), ("cifar10", 32))}  # fmt: skip
        browser.close()
    print("| page of edits in Chromium, 1440x1000: event to redraw | median | largest | frames with a new strength |")
    print("|---|---|---|---|")
    for name, found in rows.items():
        for what, (times, rate) in found.items():
            middle, most = statistics.median(times), max(times)
            print(f"| {name}: {what}, n = {len(times)} | {middle:.0f} ms | {most:.0f} ms | {rate} |")


def _latency(page: Page, url: str, name: str, side: int) -> dict[str, tuple[list[float], str]]:
    page.goto(f"{url}/edit-statistics?dataset={name}")
    page.locator('.lab[data-ready="1"]').wait_for(timeout=120_000)
    page.evaluate(f"window.lab = ({LAB}).lab")
    page.wait_for_timeout(10_000)  # the rest of the page is drawn meanwhile
    rates = [page.evaluate(_FRAMES, redraw) for redraw in (True, False)]
    each = page.evaluate(_DRAWS)
    dial = page.locator(".dial input").bounding_box()
    paint, field = (page.locator(f"{one} canvas").bounding_box() for one in (".mask", "[data-panel=images-before]"))
    assert dial is not None
    assert paint is not None
    assert field is not None
    y = dial["y"] + dial["height"] / 2
    found = {
        "strength dragged": (
            _moves(page, [(dial["x"] + dial["width"] * (0.25 + 0.008 * i), y) for i in range(80)]),
            f"{rates[0]:.0f} of the {rates[1]:.0f} frames a second of the idle page; {each:.1f} ms",
        )
    }
    at = [
        (paint["x"] + paint["width"] * (0.1 + 0.01 * i), paint["y"] + paint["height"] * (0.2 + 0.3 * (i % 9) / 9))
        for i in range(80)
    ]
    found["pattern painted"] = (_moves(page, at), "")
    at = [(field["x"] + field["width"] * 0.01 * i, field["y"] + field["height"] * (0.1 + 0.004 * i)) for i in range(80)]
    found["another pixel hovered"] = (_moves(page, at, pressed=False), "")
    page.close()
    return found


def _moves(page: Page, places: list[tuple[float, float]], *, pressed: bool = True) -> list[float]:
    page.mouse.move(*places[0])
    if pressed:
        page.mouse.down()
    page.evaluate("lab.latency = []")
    for place in places[1:]:
        page.mouse.move(*place)
    times = [float(value) for value in page.evaluate("lab.latency")]
    if pressed:
        page.mouse.up()
    return times
