"""The Train page in a browser: start, watch, pause, reload, resume, finish, use; wide and narrow."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import pictures, running_app

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]  # seconds on an idle machine; others may be at work
PATIENCE = 200_000  # ms: a process starts, imports and trains at low priority


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server whose networks are this module's own."""
    folder: Path = tmp_path_factory.mktemp("trainer")
    env = {**os.environ, "OMP_NUM_THREADS": "1"}  # networks this small are slower on two threads than on one
    with running_app(folder / "cache", folder / "log", env) as url:
        yield url


def open_train(page: Page, url: str) -> Locator:
    page.goto(f"{url}/train?dataset=digits")
    start = page.get_by_role("button", name="Start")
    expect(start).to_be_enabled(timeout=PATIENCE)
    return start


def choose(page: Page, label: str, option: str) -> None:
    page.get_by_role("combobox", name=label).click()
    page.get_by_role("option", name=option).click()


def fill(page: Page, role: Literal["spinbutton", "textbox"], name: str, text: str) -> None:
    field = page.get_by_role(role, name=name, exact=True)
    field.fill(text)
    field.press("Enter")


def test_start_watch_pause_reload_resume_finish(page: Page, trainer: str) -> None:
    open_train(page, trainer)
    expect(page.get_by_text("Nothing has been trained here yet.")).to_be_visible()
    choose(page, "Network", "ResNet")
    page.get_by_role("button", name="Architecture").click()
    expect(page.get_by_role("spinbutton", name="Channels")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_role("textbox", name="Channels")).to_have_count(0, timeout=PATIENCE)  # the U-Net's are gone
    fill(page, "spinbutton", "Channels", "8")
    expect(page.get_by_text(re.compile(r"^[^.]*\. [\d,]+ parameters\.$"))).to_be_visible(timeout=PATIENCE)
    page.keyboard.press("Escape")
    fill(page, "spinbutton", "Length", "1")  # minute
    fill(page, "textbox", "Name", "tiny")
    command = page.get_by_text("The same as a command")
    command.click()
    expect(page.get_by_test_id("stCode")).to_contain_text("--network resnet:channels=8 --minutes 1 ", timeout=PATIENCE)
    page.get_by_role("button", name="Start").click()

    expect(page.get_by_role("heading", name="tiny")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("Field of the middle pixel")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("Test MSE ÷ Wiener MSE")).to_be_visible()
    expect(page.locator(".js-plotly-plot")).to_have_count(2)
    expect(page.get_by_alt_text(re.compile("^Image 18 generated after"))).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Paused", exact=True)).to_be_visible(timeout=PATIENCE)
    seen = page.get_by_text(re.compile(r"images seen in .* so far"))
    expect(seen).to_be_visible()
    before = seen.inner_text()

    page.reload()
    expect(page.get_by_text("Paused", exact=True)).to_be_visible(timeout=PATIENCE)
    assert seen.inner_text() == before
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("Finished", exact=True)).to_be_visible(timeout=PATIENCE)
    expect(
        page.get_by_text(re.compile(r"^Ready on every page as tiny: [\d,]+ images seen in 1(\.\d)? min"))
    ).to_be_visible()
    chosen = page.get_by_test_id("stSidebar").get_by_role("combobox", name="Network")
    expect(chosen).to_have_value("tiny")  # usable at once


def test_screens(screen: Page, trainer: str) -> None:
    open_train(screen, trainer)
    screen.evaluate("document.fonts.ready")
    pictures(screen, "train")
