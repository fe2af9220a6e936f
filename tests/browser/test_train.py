"""The Train page in a browser: start, watch, pause, reload, resume, finish, use; wide and narrow."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Locator, Page, expect

from locality.studies import shipped_recordings
from tests.browser.conftest import pictures, running_app, spot

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
    expect(page.get_by_role("heading", name=re.compile("^A recorded training: "))).to_be_visible(timeout=PATIENCE)
    choose(page, "Network", "ResNet")
    page.get_by_role("button", name="Architecture").click()
    expect(page.get_by_role("spinbutton", name="Channels")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_role("textbox", name="Channels")).to_have_count(0, timeout=PATIENCE)  # the U-Net's are gone
    fill(page, "spinbutton", "Channels", "8")
    expect(page.get_by_text(re.compile(r"^[\d,]+ parameters\. "))).to_be_visible(timeout=PATIENCE)
    page.keyboard.press("Escape")
    fill(page, "spinbutton", "Length", "0.5")  # minutes
    fill(page, "textbox", "Name", "tiny")
    page.get_by_role("button", name="As a command").click()
    expect(page.get_by_test_id("stCode")).to_contain_text(
        "--network resnet:channels=8 --minutes 0.5 ", timeout=PATIENCE
    )
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Start").click()

    expect(page.get_by_role("heading", name="tiny")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_role("img", name=re.compile("^Image 18 generated after")).first).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_role("heading", name=re.compile("^Learned after ")).first).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Paused", exact=True)).to_be_visible(timeout=PATIENCE)
    seen = page.get_by_text(re.compile(r"images seen in .* so far"))
    expect(seen).to_be_visible()
    before = seen.inner_text()

    page.reload()
    expect(page.get_by_text("Paused", exact=True)).to_be_visible(timeout=PATIENCE)
    assert seen.inner_text() == before
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text(re.compile("^Finished"))).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text(re.compile(r"[\d,]+ images seen in 0\.[5-9]\d? min"))).to_be_visible()
    chosen = page.get_by_test_id("stSidebar").get_by_role("combobox", name="Network")
    expect(chosen).to_have_value("tiny")  # usable at once
    pictures(page, "train")


def test_a_recording_is_scrubbed_and_played(page: Page, trainer: str) -> None:
    """The page's numbers are the recording's: r of the fields that are shown, images seen, the pixel of a click."""
    made = shipped_recordings()[0]
    page.goto(f"{trainer}/train?dataset={made.dataset}")
    lab, last, level = page.locator(".lab").last, len(made.images) - 1, len(made.sigmas) // 2

    def shows(moment: int, place: int) -> None:
        row, col = made.pixels[place]
        r = made.similarity(moment, level, place)
        words = "-" if math.isnan(r) else f"{r:.3f}"
        want = f"{made.images[moment]} {made.sigmas[level]:g} {row},{col} {words}"
        expect(lab).to_have_attribute("data-shown", want, timeout=PATIENCE)

    shows(last, 0)
    lab.get_by_role("slider", name="Moment of the training").focus()
    page.keyboard.press("Home")
    shows(0, 0)
    expect(lab.get_by_role("heading", name="Before training", exact=True)).to_be_visible()
    page.keyboard.press("ArrowRight")
    shows(1, 0)
    row, col = made.pixels[1]
    _, h, w = made.shape
    page.mouse.click(*spot(lab.locator(".stage canvas").first, (col + 0.5) / w, (row + 0.5) / h))
    shows(1, 1)
    lab.get_by_role("button", name="Play the training").click()
    shows(last, 1)


def test_on_a_phone(phone: Page, trainer: str) -> None:
    open_train(phone, trainer)
    phone.evaluate("document.fonts.ready")
    pictures(phone, "train")
