"""The explorer in Chromium: first paint, change of dataset, clicks, hover, drag, and what moves or fails."""

from __future__ import annotations

import os
import re
import statistics
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.conftest import FLAGS, find_browser, running_app

DATASETS = ("mnist", "cifar10", "afhq_cats", "faces")
PAGES = ("", "data", "samples", "architectures", "train", "edit-statistics", "benchmark")
_MOVED = """window.moved = 0
new PerformanceObserver(list => {
  for (const one of list.getEntries()) if (!one.hadRecentInput) window.moved += one.value
}).observe({ type: "layout-shift", buffered: true })"""
LAB = "[...document.querySelectorAll('*')].map(e => e.shadowRoot?.querySelector('.lab')).find(Boolean)"
_PAINTED = f"() => ({LAB})?.lab?.shown?.fields.predicted"
_CLICK = """([kind, wanted]) => { window.took = null; document.addEventListener(kind, event => {
  const wait = () => {
    if (eval(wanted)) window.took = performance.now() - event.timeStamp
    else requestAnimationFrame(wait)
  }
  requestAnimationFrame(wait) }, { once: true, capture: true }) }"""


def run() -> None:
    """Print the tables. Needs Chromium and the images."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=FLAGS)
        cache, log, env = Path(folder) / "cache", Path(folder) / "log", dict(os.environ)
        with running_app(cache, log, env) as url:
            print("| explorer in Chromium, 1440x900 | median | largest |\n|---|---|---|")
            print(f"| first paint of the fields, fresh server | {_paint(browser, url)[0]:.1f} s | |")
            warm = [_paint(browser, url)[0] for _ in range(3)]
            print(f"| ... warm server, n = {len(warm)} | {statistics.median(warm):.1f} s | {max(warm):.1f} s |")
            page = _paint(browser, url)[1]
            for name in DATASETS:
                print(f"| first visit of {name} by its card, to the predicted field | {_switch(page, name):.2f} s | |")
            again = [_switch(page, name) for name in DATASETS]
            print(f"| ... again, n = {len(again)} | {statistics.median(again):.2f} s | {max(again):.2f} s |")
            _switch(page, "cifar10")
            predicted = _clicks(page, "lab.shown.pixel + '' === window.wanted && lab.shown.fields.predicted")
            exact = _clicks(page, "lab.shown.pixel + '' === window.wanted && lab.shown.exact", offset=1)
            learned = _clicks(page, "(lab.live.get(lab.key(lab.pixel, lab.sigma))?.draws ?? 0) >= 16", offset=2)
            print(f"| click to the predicted field, n = {len(predicted)} | {_row(predicted)} |")
            print(f"| click to the exact one from the server | {_row(exact)} |")
            print(f"| click to 16 more draws of the learned field | {_row(learned)} |")
            print(f"| hover to predicted field redrawn | {_row(_hover(page))} |")
            print(f"| slider drag to predicted field redrawn | {_row(_drag(page))} |")
            visits, releases = _edited(page)
            print(f"| *Edit statistics* again from the menu, until all of it is there | {visits:.2f} s | |")
            print(f"| ... a slider released, until then, n = {len(releases)} | {_seconds(releases)} |")
            print("\n| page | layout shift | refused requests |\n|---|---|---|")
            for path in PAGES:
                print("| {} | {:.3f} | {} |".format(path or "explorer", *_calm(browser, f"{url}/{path}")))
        browser.close()


def _row(values: list[float]) -> str:
    return f"{statistics.median(values):.0f} ms | {max(values):.0f} ms"


def _seconds(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} s | {max(values):.2f} s"


def _edited(page: Page) -> tuple[float, list[float]]:
    """Seconds until *Edit statistics* has all there is to show: opened a second time, and after each release."""
    for name in ("Edit statistics", "Train", "Edit statistics"):
        start = time.perf_counter()
        page.get_by_role("link", name=name, exact=True).first.click()
        page.wait_for_url(f"**/{name.lower().replace(' ', '-')}*")
        visit = _settled(page, start)
    box = page.locator(".dial input").first.bounding_box()
    assert box is not None
    releases = []
    for i in range(5):
        page.mouse.move(box["x"] + box["width"] * (0.2 + 0.13 * i), box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * (0.25 + 0.14 * i), box["y"] + box["height"] / 2, steps=5)
        page.mouse.up()
        releases.append(_settled(page, time.perf_counter()))
    return visit, releases


def _settled(page: Page, start: float) -> float:
    """Seconds from `start` until the server had nothing to do for half a second."""
    rests = page.locator("[data-testid=stApp][data-test-script-state=notRunning]")
    since = None
    while since is None or time.perf_counter() - since < 0.5:
        time.sleep(0.02)
        since = (since or time.perf_counter()) if rests.count() and page.locator(".lab").count() else None
    return since - start


def _paint(browser: Browser, url: str) -> tuple[float, Page]:
    """Seconds from the request of a new visitor to the predicted field on the screen."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce").new_page()
    start = time.perf_counter()
    page.goto(url)
    page.wait_for_function(_PAINTED, timeout=120_000)
    return time.perf_counter() - start, page


def _switch(page: Page, name: str) -> float:
    """Seconds from a click on a dataset's card to its predicted field, timed outside of the browser."""
    page.evaluate(f"window.lab = ({LAB}).lab")
    if page.evaluate("lab.head.name") == name:
        return 0.0
    card = page.locator(".st-key-dataset label").filter(has_text=re.compile(rf"(?<!-){re.escape(_title(name))}"))
    start = time.perf_counter()
    card.click()
    page.wait_for_function(
        f"name => {{ const l = ({LAB})?.lab; return l?.head.name === name && l.shown?.fields.predicted }}", arg=name
    )
    return time.perf_counter() - start


def _title(name: str) -> str:
    from locality.datasets import DATASETS

    return DATASETS[name].info.title


def _clicks(page: Page, wanted: str, offset: int = 0) -> list[float]:
    """Pointer-down to the frame in which something is so, timed in the browser."""
    page.wait_for_load_state("networkidle")
    page.evaluate(f"window.lab = ({LAB}).lab")
    side = int(page.evaluate("lab.h"))
    box = page.locator("[data-panel=image] canvas").first.bounding_box()
    assert box is not None
    times = []
    for i in range(12):
        row, col = (3 + 7 * i + 2 * offset) % side, (5 + 11 * i + offset) % side
        page.evaluate(f"window.wanted = '{row},{col}'")
        page.mouse.move(box["x"] + (col + 0.5) * box["width"] / side, box["y"] + (row + 0.5) * box["height"] / side)
        page.evaluate(_CLICK, ["pointerdown", wanted])
        page.mouse.down()
        page.mouse.up()
        times.append(float(page.wait_for_function("window.took").json_value()))
    return times


def _hover(page: Page) -> list[float]:
    box = page.locator("[data-panel=image] canvas").first.bounding_box()
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


def _calm(browser: Browser, url: str) -> tuple[float, int]:
    """How much a page moves while it loads, and how many of its requests are refused."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce").new_page()
    refused: list[str] = []
    page.on("response", lambda answer: refused.append(answer.url) if answer.status >= 400 else None)
    page.add_init_script(_MOVED)
    page.goto(url)
    page.get_by_role("heading", level=1).wait_for()
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(3000)
    moved = float(page.evaluate("window.moved"))
    page.close()
    return moved, len(refused)
