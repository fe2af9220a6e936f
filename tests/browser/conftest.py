"""The real app in a real browser: one server with the images at hand, one without any."""

from __future__ import annotations

import base64
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from pages._ui.lab.modules import linked

ROOT = Path(__file__).resolve().parents[2]
SHOTS = Path(__file__).parent / "screenshots"
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
expect.set_options(timeout=60_000)  # a busy machine answers a click in seconds; a right answer is not slower for it

# Without the networking flags Chromium looks up foreign hosts at every start.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
)


@contextmanager
def running_app(cache: Path, log: Path, env: dict[str, str]) -> Iterator[str]:
    """Start the app on a free loopback port with its own cache; yields its address."""
    with started_app(cache, log, env) as (url, _):
        yield url


@contextmanager
def started_app(cache: Path, log: Path, env: dict[str, str]) -> Iterator[tuple[str, int]]:
    """The same, with the number of the process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "pages._ui.serve", "--server.address=127.0.0.1"]
    command += [f"--server.port={port}", "--server.headless=true"]
    with log.open("w") as out:
        server = subprocess.Popen(command, cwd=ROOT, env={**env, "LOCALITY_CACHE": str(cache)}, stdout=out, stderr=out)
        try:
            _wait(f"http://127.0.0.1:{port}", server, log)
            yield f"http://127.0.0.1:{port}", server.pid
        finally:
            server.terminate()
            server.wait(60)


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if server.poll() is not None:
            pytest.fail(f"The server stopped: {log.read_text()[-2000:]}")
        try:
            urllib.request.urlopen(f"{url}/_stcore/health", timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"The server did not answer within 60 s: {log.read_text()[-2000:]}")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app as the environment has it."""
    folder = tmp_path_factory.mktemp("server")
    with running_app(folder / "cache", folder / "log", dict(os.environ)) as url:
        yield url


@pytest.fixture(scope="session")
def bare_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app on a machine that has no image files at all, as after a fresh clone."""
    folder = tmp_path_factory.mktemp("bare")
    env = {key: value for key, value in os.environ.items() if key != "LOCALITY_DATA"}
    with running_app(folder / "cache", folder / "log", {**env, "XDG_DATA_HOME": str(folder)}) as url:
        yield url


def find_browser() -> str | None:
    """Path of an installed Chromium or Chrome, None where Playwright's own is the only hope."""
    return next((path for name in _NAMES if (path := shutil.which(name))), None) or next(
        (path for path in _PLACES if Path(path).exists()), None
    )


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, Chrome or Playwright's own; tests are skipped with the reason where there is none."""
    found = find_browser()
    with sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
        if found is None and not own.exists():
            pytest.skip("no Chromium or Chrome on this machine (Debian: apt-get install chromium)")
        chromium = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield chromium
        chromium.close()


@contextmanager
def watched(browser: Browser, width: int, height: int) -> Iterator[Page]:
    """A page of its own; errors in its console and requests to foreign hosts fail the test."""
    context = browser.new_context(  # no sweep of the noise at the first visit, which every visit here is
        viewport={"width": width, "height": height}, accept_downloads=True, reduced_motion="reduce"
    )
    opened = context.new_page()
    opened.set_default_timeout(60_000)  # a busy two-core machine is slow, not wrong
    errors: list[str] = []
    foreign: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda message: errors.append(message.text) if _is_error(message) else None)
    opened.on("request", lambda request: foreign.append(request.url) if _is_foreign(request.url) else None)
    yield opened
    context.close()
    assert not errors, errors
    assert not foreign, foreign


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page as wide as a laptop's."""
    with watched(browser, 1440, 900) as opened:
        yield opened


@pytest.fixture
def phone(browser: Browser) -> Iterator[Page]:
    """A page as narrow as a phone's."""
    with watched(browser, 390, 844) as opened:
        yield opened


@pytest.fixture(params=[(1440, 900), (390, 844)], ids=["wide", "phone"])
def screen(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page as wide as a laptop's, and one as narrow as a phone's."""
    with watched(browser, *request.param) as opened:
        yield opened


def picture(page: Page, name: str, scheme: Literal["light", "dark"], *, whole: bool = False) -> list[str]:
    """Turn a page light or dark and keep a picture to be looked at; nothing may be wider than the screen.

    Returns the page's background and text colour.
    """
    assert page.viewport_size is not None
    width = page.viewport_size["width"]
    SHOTS.mkdir(exist_ok=True)
    page.emulate_media(color_scheme=scheme)
    page.wait_for_timeout(300)  # the page turns
    page.screenshot(path=SHOTS / f"{name}-{width}-{scheme}.png", full_page=whole)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    style = "getComputedStyle(document.body)"
    return [str(page.evaluate(f"{style}.{one}")) for one in ("backgroundColor", "color")]


def pictures(page: Page, name: str, *, whole: bool = False) -> dict[str, list[str]]:
    """A picture in light and one in dark, and the colours of either."""
    return {scheme: picture(page, name, scheme, whole=whole) for scheme in SCHEMES}


def saved(page: Page, button: str | re.Pattern[str]) -> tuple[str, bytes]:
    """Name and content of what a button saves; pressed again, as anybody would, where nothing comes."""
    press = page.get_by_role("button", name=button).click
    try:
        with page.expect_download(timeout=20_000) as waiting:
            press()
    except PlaywrightTimeout:
        with page.expect_download() as waiting:
            press()
    return waiting.value.suggested_filename, waiting.value.path().read_bytes()


def saved_pictures(page: Page) -> dict[str, bytes]:
    """The two pictures that a view saves, by the names of their files."""
    found = dict(saved(page, f"Save {kind}") for kind in ("PNG", "SVG"))
    assert [name.rpartition(".")[2] for name in found] == ["png", "svg"]
    assert [raw[:4] for raw in found.values()] == [b"\x89PNG", b"<svg"]
    return found


def computed(page: Page, module: str, expression: str, value: Any = None) -> Any:
    """Evaluate an expression of `m`, the exports of modules of pages/_ui joined by "+", and `v`, the value."""
    linked_up = (linked(ROOT / "pages" / "_ui" / f"{one}.js") for one in module.split("+"))
    codes = [base64.b64encode(code.encode()).decode() for code in linked_up]
    load = """const m = {}
        for (const code of codes) Object.assign(m, await import('data:text/javascript;charset=utf-8;base64,' + code))"""
    return page.evaluate(f"async ([codes, v]) => {{ {load}; return {expression} }}", [codes, value])


# Resolves once an element has kept its place and size for a third of a second; null where it was replaced meanwhile, as
# a chart is that is still being made.
_STILL = """async element => {
    for (let last = "", since = 0; ;) {
        const now = await new Promise(requestAnimationFrame)
        if (!element.isConnected) return null
        const { x, y, width, height } = element.getBoundingClientRect()
        const place = [x, y, width, height].join()
        if (place !== last) [last, since] = [place, now]
        else if (now - since > 300) return { x, y, width, height }
    }
}"""


def spot(target: Locator, across: float, down: float) -> tuple[float, float]:
    """Where on the screen a share of an element's width and height lies, once nothing moves any more.

    Parts of a page that load late push others down: a place looked up before that is another pixel afterwards.
    """
    target.page.wait_for_load_state("networkidle")
    target.evaluate("element => element.scrollIntoView({ block: 'nearest', inline: 'nearest' })")
    while (box := target.evaluate(_STILL)) is None:
        pass
    return box["x"] + across * box["width"], box["y"] + down * box["height"]


def centre_of(page: Page, panel: str, row: int, col: int, side: int = 32) -> tuple[float, float]:
    """Where on the screen a pixel of a panel lies, of images `side` pixels wide and high."""
    picture = page.locator(f"[data-panel={panel}] canvas").first  # the others are the clean image and the strip
    return spot(picture, (col + 0.5) / side, (row + 0.5) / side)


def _is_error(message: ConsoleMessage) -> bool:
    """Errors but Streamlit's own: on a deep link it looks for its server below the page's path first."""
    return message.type == "error" and not message.location["url"].endswith(("/_stcore/health", "/_stcore/host-config"))


def _is_foreign(url: str) -> bool:
    return url.startswith("http") and not url.startswith("http://127.0.0.1:")
