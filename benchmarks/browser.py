"""The explorer in Chromium: first paint, click to both exact fields, hover and drag to a redraw."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.browser.conftest import FLAGS, find_browser, running_app

_LAB = "[...document.querySelectorAll('*')].map(e => e.shadowRoot?.querySelector('.lab')).find(Boolean)"
_EXACT = f"() => {{ const s = ({_LAB}).lab.shown; return s.exact.predicted && s.exact.learned }}"


def run() -> None:
    """Print the table. Needs Chromium and the CIFAR-10 images."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=FLAGS)
        env = dict(os.environ)
        with running_app(Path(folder) / "cache", Path(folder) / "log", env) as url:  # tables and caches are made here
            _open(browser.new_page(viewport={"width": 1440, "height": 900}), url)
        start = time.perf_counter()
        with running_app(Path(folder) / "cache", Path(folder) / "log", env) as url:
            up = time.perf_counter()
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.goto(url)
            page.locator("[data-panel=predicted] canvas").wait_for()
            painted = time.perf_counter()
            page.locator('.lab[data-ready="1"]').wait_for()
            page.wait_for_function(_EXACT)
            clicks = _clicks(page)
            hover, drag = _hover(page), _drag(page)
        browser.close()
    print("| explorer on CIFAR-10 in Chromium, 1440x900 | median | largest |\n|---|---|---|")
    print(f"| server command to first paint (server up after {up - start:.1f} s) | {painted - start:.1f} s | |")
    print(f"| click to both exact fields repainted, 16 draws, n = {len(clicks)} | {_row(clicks)} |")
    print(f"| hover to predicted field redrawn, n = {len(hover)} | {_row(hover)} |")
    print(f"| slider drag to predicted field redrawn, n = {len(drag)} | {_row(drag)} |")


def _row(values: list[float]) -> str:
    return f"{statistics.median(values):.0f} ms | {max(values):.0f} ms"


def _open(page: Page, url: str) -> None:
    page.goto(url)
    page.locator('.lab[data-ready="1"]').wait_for(timeout=120_000)
    page.close()


def _clicks(page: Page) -> list[float]:
    """Pointer-down to the frame that shows both exact fields, timed in the browser."""
    box = page.locator("[data-panel=image] canvas").bounding_box()
    assert box is not None
    page.evaluate(f"window.lab = ({_LAB}).lab")
    times = []
    for i in range(20):
        row, col = (3 + 7 * i) % 32, (5 + 11 * i) % 32
        page.mouse.move(box["x"] + (col + 0.5) * box["width"] / 32, box["y"] + (row + 0.5) * box["height"] / 32)
        page.evaluate(
            """() => { window.took = null
              document.addEventListener("pointerdown", event => {
                const wait = () => { const s = lab.shown
                  if (s.exact.predicted && s.exact.learned) window.took = performance.now() - event.timeStamp
                  else requestAnimationFrame(wait) }
                requestAnimationFrame(wait) }, { once: true, capture: true }) }"""
        )
        page.mouse.down()
        page.mouse.up()
        times.append(float(page.wait_for_function("window.took").json_value()))
    return times


def _hover(page: Page) -> list[float]:
    box = page.locator("[data-panel=image] canvas").bounding_box()
    assert box is not None
    page.evaluate("lab.latency = []")
    for i in range(80):
        page.mouse.move(box["x"] + 10 + 3 * i, box["y"] + 15 + 2.5 * i)
    return [float(value) for value in page.evaluate("lab.latency")]


def _drag(page: Page) -> list[float]:
    box = page.locator(".noise input").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.evaluate("lab.latency = []")
    for i in range(80):
        page.mouse.move(box["x"] + box["width"] * (0.3 + 0.006 * i), box["y"] + box["height"] / 2)
    times = [float(value) for value in page.evaluate("lab.latency")]
    page.mouse.up()
    return times
