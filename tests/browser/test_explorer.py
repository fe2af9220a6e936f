"""The explorer in a browser: click, hover, drag, keys, reload, export; numbers against Python."""

from __future__ import annotations

import io
import math
import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from locality.datasets import Source
from locality.fields.jacobian import compare
from locality.studies import Draws, find_network, finish, fit_wiener, pixel_field
from locality.types import Pixel
from tests.browser.conftest import centre_of, pictures, saved, saved_pictures, spot

pytestmark = pytest.mark.browser
SET, SIDE = "faces", 32  # always on the machine, and a network is trained on it


def open_explorer(page: Page, url: str, query: str = f"?dataset={SET}") -> Locator:
    """Open the explorer and wait until hover tables are in the browser and the fields are exact."""
    page.goto(f"{url}/{query}")
    lab = page.locator('.lab[data-ready="1"]')
    lab.wait_for(timeout=120_000)
    return lab


def shows(lab: Locator, pattern: str) -> None:
    """Wait for `ROW,COL SIGMA predicted-state learned-state`."""
    expect(lab).to_have_attribute("data-shown", re.compile(pattern))


def drawn(lab: Locator, least: int) -> None:
    """Wait until the learned field is the mean of so many draws."""
    expect(lab).to_have_attribute("data-draws", re.compile("|".join(map(str, range(least, 300)))))


def number(page: Page, name: str) -> float:
    if not page.locator("details[open] .numbers").count():
        page.get_by_text("Numbers, and how well both agree").click()
    return float(page.locator(f"[data-number={name}] td").first.inner_text())


# Must stay the first test: it is the first visit of a fresh server, and it is a deep link.
def test_first_visit_is_a_deep_link(page: Page, server: str) -> None:
    refused: list[str] = []
    page.on("response", lambda answer: refused.append(answer.url) if answer.status >= 400 else None)
    page.goto(f"{server}/data?dataset=digits")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page).to_have_title(re.compile("^Data"))
    expect(page.get_by_label("Dataset", exact=True)).to_be_visible()
    page.get_by_role("link", name="Explorer").first.click()
    expect(page.get_by_role("heading", name="Where does a denoiser look?")).to_be_visible()
    page.locator('.lab[data-ready="1"]').wait_for()
    assert "dataset=digits" in page.url
    assert refused == []


def test_click_gives_the_fields_python_computes(page: Page, server: str) -> None:
    lab = open_explorer(page, server, f"?dataset={SET}&sigma=1&draws=32")
    shows(lab, r"^15,15 1\.00000 exact live$")
    page.mouse.click(*centre_of(page, "image", 11, 21))
    shows(lab, r"^11,21 1\.00000 exact live$")
    drawn(lab, 32)
    assert "px=11.21" in page.url

    source, pixel = Source.parse(SET), Pixel(11, 21)
    predicted, learned = (
        finish(pixel_field(source, model, pixel, 1.0, Draws(32))).sum(dim=(0, 1)) for model in ("wiener", "unet")
    )
    truth = compare(predicted, learned, pixel)
    # two decimals on the screen
    assert number(page, "pearson") == pytest.approx(truth.pearson, abs=6e-3)
    assert number(page, "cosine") == pytest.approx(truth.cosine, abs=6e-3)
    assert truth.pearson - 6e-3 < number(page, "corrected") < 1.1
    expect(page.locator(".chart-title")).to_contain_text("excluding the pixel itself")


def test_hover_moves_the_fields_without_the_server(page: Page, server: str) -> None:
    lab = open_explorer(page, server)
    shows(lab, "^15,15 .* exact")
    page.mouse.move(*centre_of(page, "image", 5, 8))
    shows(lab, r"^5,8 1\.00000 preview")
    shows(lab, r"^5,8 1\.00000 exact")  # the pointer rests: the server's exact row follows
    page.mouse.move(5, 5)
    shows(lab, "^15,15")
    assert "px=" not in page.url.replace("px=15.15", "")


def test_drag_changes_the_noise_while_dragging(page: Page, server: str) -> None:
    lab = open_explorer(page, server)
    shows(lab, "^15,15 .* exact")
    left, y = spot(page.locator(".noise input"), 0.4, 0.5)
    right, _ = spot(page.locator(".noise input"), 0.8, 0.5)
    page.mouse.move(left, y)
    page.mouse.down()
    seen = set()
    for step in range(20):
        page.mouse.move(left + step / 20 * (right - left), y)
        seen.add(lab.get_attribute("data-shown"))
    assert len(seen) > 10, "the field follows the pointer, not only its release"
    page.mouse.up()
    shows(lab, r"^15,15 [3-9]\.\d+ exact")
    shown = lab.get_attribute("data-shown")
    assert shown is not None
    sigma = float(shown.split()[1])

    page.reload()
    lab = page.locator(".lab")
    shows(lab, rf"^15,15 {sigma:.5f}"[:-1])  # the address bar restores the view


def test_keys_move_the_pixel(page: Page, server: str) -> None:
    lab = open_explorer(page, server)
    page.get_by_role("application").focus()
    for key in ("ArrowDown", "ArrowRight", "Shift+ArrowDown"):
        page.keyboard.press(key)
    shows(lab, "^20,16 .* exact")
    expect(page).to_have_url(re.compile("px=20.16"))
    expect(lab.locator(".aloud")).to_have_text(re.compile(r"^Row 20, column 16\. Pearson r \d\.\d\d\. Half of"))


def test_a_finger_on_a_picture_scrolls_the_page_and_a_tap_chooses(browser: Browser, server: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    lab = open_explorer(page, server)
    assert lab.locator("canvas").first.evaluate("canvas => getComputedStyle(canvas).touchAction") == "manipulation"
    page.touchscreen.tap(*centre_of(page, "image", 9, 20))
    shows(lab, "^9,20 .* exact")
    context.close()


def test_play_sweeps_the_noise(page: Page, server: str) -> None:
    lab = open_explorer(page, server)
    before = lab.get_attribute("data-shown")
    page.get_by_role("button", name="Play the noise sweep").click()
    expect(lab).not_to_have_attribute("data-shown", before or "")
    page.get_by_role("button", name="Pause the noise sweep").click()
    shows(lab, "^15,15 .* exact")


def test_export_png_svg_and_numbers(page: Page, server: str) -> None:
    lab = open_explorer(page, server, f"?dataset={SET}&px=3.4&sigma=2")
    shows(lab, r"^3,4 2\.00000 exact ")
    raw, drawing = saved_pictures(page).values()
    picture = Image.open(io.BytesIO(raw))
    assert picture.width > 1200
    assert len(picture.convert("RGB").getcolors(2**24) or ()) > 50
    assert "row 3, column 4" in drawing.decode()
    numbers = np.load(io.BytesIO(saved(page, "Save numbers")[1]))
    assert tuple(numbers["pixel"]) == (3, 4)
    row = finish(pixel_field(Source.parse(SET), "wiener", Pixel(3, 4), 2.0, Draws()))
    assert np.allclose(numbers["predicted"], row.sum(dim=(0, 1)).numpy(), atol=1e-6)
    again = finish(pixel_field(Source.parse(SET), "unet", Pixel(3, 4), 2.0, Draws(32)))
    assert int(numbers["draws"]) == 32
    assert np.allclose(numbers["learned"], again.sum(dim=(0, 1)).numpy(), atol=1e-5)
    assert numbers["stderr"].shape == (SIDE, SIDE)


def test_options_change_the_panels_and_the_link(page: Page, server: str) -> None:
    lab = open_explorer(page, server)
    page.get_by_text("Options", exact=True).click()
    page.get_by_role("button", name="Difference").click()
    expect(page.locator("[data-panel=difference]")).to_be_visible()
    shows(lab, "exact live$")
    assert "extra=" in page.url


def test_a_fresh_clone_shows_cifar10_without_images(page: Page, bare_server: str) -> None:
    """No download, no images: predicted from shipped statistics, learned from the shipped table."""
    lab = open_explorer(page, bare_server, "?dataset=cifar10")
    shows(lab, r"^15,15 1\.00000 exact stored$")
    expect(page.get_by_role("heading", name="Mean image")).to_be_visible()
    assert number(page, "pearson") > 0.5
    page.mouse.click(*centre_of(page, "image", 8, 8))
    shows(lab, "^8,8 .* exact stored$")
    wiener = finish(fit_wiener(Source.parse("cifar10")))
    assert wiener.count == 50_000
    assert find_network(Source.parse("cifar10"), "unet").manifest["dataset"] == "cifar10"


def test_screens(screen: Page, server: str) -> None:
    lab = open_explorer(screen, server)
    shows(lab, "exact live$")
    pictures(screen, "explorer", whole=True)
    for panel in ("image", "predicted", "learned"):
        box = screen.locator(f"[data-panel={panel}] canvas").first.bounding_box()
        assert box is not None
        assert math.isclose(box["width"], box["height"], rel_tol=0.01)
