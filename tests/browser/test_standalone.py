"""The saved file, opened from the disk in a browser that has no network: hover, click, slider, keys, dark."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Browser, Locator, Page, expect

from locality.datasets import Source
from locality.fields.codec import TABLE_SIGMAS
from locality.fields.jacobian import compare
from locality.linear.wiener import WienerFilter, coordinates
from locality.studies import Draws, find_network, finish, fit_wiener, pixel_field
from locality.types import Pixel
from pages._ui.explorer import Options, View
from pages._ui.explorer.standalone import standalone
from tests.browser.conftest import centre_of, pictures, saved

pytestmark = pytest.mark.browser
SET, SIDE, SIGMA = "faces", 32, TABLE_SIGMAS[6]
OPTIONS = Options("Test image", 3, True, "mean", None, "sum", 4, False, ())


def write(folder: Path, name: str, options: Options = OPTIONS) -> Path:
    """Make the file of a dataset's view at row 11, column 21 (or 3, 4 of small images)."""
    source = Source.parse(name)
    pixel = Pixel(11, 21) if source.shape.h > 21 else Pixel(3, 4)
    trained = find_network(source, "unet") if name == SET else None
    query = f"dataset={name}&px={pixel.row}.{pixel.col}&sigma={SIGMA:.6g}"
    path = folder / f"{name}.html"
    view = View(pixel, float(f"{SIGMA:.6g}"), pixel, 0)
    path.write_bytes(standalone(source, wiener(name), trained, options, view, query))
    return path


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("standalone"), SET)


@pytest.fixture
def alone(browser: Browser) -> Iterator[Page]:
    """A page without a network; anything it asks for but its own file, and any error, fails the test."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, offline=True, accept_downloads=True)
    opened = context.new_page()
    errors: list[str] = []
    asked: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    opened.on("request", lambda request: asked.append(request.url))
    yield opened
    context.close()
    assert not errors, errors
    assert [url for url in asked if not url.startswith("blob:")] == [url for url in asked if url.startswith("file:")]
    assert sum(url.startswith("file:") for url in asked) == 1, asked


def opened(page: Page, path: Path) -> Locator:
    page.goto(path.as_uri())
    lab = page.locator('.lab[data-ready="1"]')
    lab.wait_for()
    return lab


def shows(lab: Locator, pattern: str) -> None:
    expect(lab).to_have_attribute("data-shown", re.compile(pattern))


def drawn(lab: Locator, which: str) -> torch.Tensor:
    """The field on the screen, [hw]."""
    return torch.tensor(lab.evaluate(f"lab => [...lab.lab.shown.fields.{which}]"))


@cache
def wiener(name: str) -> WienerFilter:
    return finish(fit_wiener(Source.parse(name)))


def exact(name: str, pixel: Pixel, sigma: float) -> torch.Tensor:
    """The predicted field, summed over channels, [hw]."""
    rows = wiener(name).rows(coordinates(wiener(name).shape, pixel), sigma)
    return rows.sum(dim=0).reshape(wiener(name).shape.c, -1).sum(dim=0)


def pick(lab: Locator, sigma: float) -> float:
    """Move the slider as near to sigma as its steps allow; the noise level it gives."""
    lab.locator("input").evaluate(
        "(input, sigma) => { const lab = document.querySelector('.lab').lab; input.value = lab.positionOf(sigma);"
        " input.dispatchEvent(new Event('input')) }",
        sigma,
    )
    return float(lab.evaluate("lab => lab.lab.sigma"))


def test_it_opens_with_the_saved_view_exactly(alone: Page, faces: Path) -> None:
    lab = opened(alone, faces)
    shows(lab, rf"^11,21 {SIGMA:.6g}\d* exact live$")
    predicted, learned = drawn(lab, "predicted"), drawn(lab, "learned")
    truth, draws = exact(SET, Pixel(11, 21), float(f"{SIGMA:.6g}")), Draws(4)
    assert torch.allclose(predicted, truth, atol=1e-6)
    field = finish(pixel_field(Source.parse(SET), "unet", Pixel(11, 21), float(f"{SIGMA:.6g}"), draws))
    assert torch.allclose(learned, field.sum(dim=(0, 1)).flatten(), atol=1e-5)
    r = compare(truth.reshape(SIDE, SIDE), field.sum(dim=(0, 1)), Pixel(11, 21)).pearson
    lab.get_by_text("Numbers, and how well both agree").click()
    assert float(lab.locator("[data-number=pearson] td").first.inner_text()) == pytest.approx(r, abs=6e-3)
    assert lab.locator(".agreement circle").count() == 6


def test_hover_moves_the_fields_within_the_table_s_error(alone: Page, faces: Path) -> None:
    lab = opened(alone, faces)
    for pixel in (Pixel(5, 8), Pixel(0, 31), Pixel(20, 16)):
        alone.mouse.move(*centre_of(alone, "image", *pixel))
        shows(lab, rf"^{pixel.row},{pixel.col} .* preview stored$")
        truth = exact(SET, pixel, SIGMA)
        assert (drawn(lab, "predicted") - truth).abs().max() <= 0.008 * truth.abs().max()
    expect(alone.locator("[data-panel=learned] .sub")).to_contain_text(
        re.compile(r"Mean of 24 Jacobian rows, s\.e\. [0-9]+ % \(stored\) of the stored pixel beside, 19, 15")
    )
    alone.mouse.move(5, 5)
    shows(lab, "^11,21 .* exact live$")


def test_values_under_the_pointer(alone: Page, faces: Path) -> None:
    lab = opened(alone, faces)
    alone.mouse.move(*centre_of(alone, "predicted", 12, 21))
    caption = alone.locator("[data-panel=predicted] figcaption")
    expect(caption).to_contain_text("Row 12, column 21: ")
    shown = float(caption.inner_text().split(": ")[1])
    assert shown == pytest.approx(float(exact(SET, Pixel(11, 21), SIGMA)[12 * SIDE + 21]), rel=5e-3)
    shows(lab, "^11,21 .* exact")


def test_between_noise_levels_the_error_stays_small(alone: Page, faces: Path) -> None:
    lab = opened(alone, faces)
    alone.mouse.click(*centre_of(alone, "image", 14, 9))
    for asked in (0.066, 0.3, 1.0, 4.6, 15.4):
        sigma = pick(lab, asked)
        shows(lab, f"^14,9 {re.escape(f'{sigma:.6g}')}")
        truth = exact(SET, Pixel(14, 9), sigma)
        assert (drawn(lab, "predicted") - truth).abs().max() <= 0.02 * truth.abs().max(), asked


def test_click_slider_play_and_keys(alone: Page, faces: Path) -> None:
    lab = opened(alone, faces)
    alone.mouse.click(*centre_of(alone, "image", 15, 15))
    alone.get_by_role("application").focus()
    for key in ("ArrowDown", "ArrowRight", "Shift+ArrowDown"):
        alone.keyboard.press(key)
    shows(lab, "^20,16 .* preview stored$")
    alone.get_by_label("Noise level sigma").focus()
    before = lab.get_attribute("data-shown")
    alone.keyboard.press("ArrowRight")
    expect(lab).not_to_have_attribute("data-shown", before or "")
    alone.get_by_role("button", name="Play the noise sweep").click()
    moving = lab.get_attribute("data-shown")
    expect(lab).not_to_have_attribute("data-shown", moving or "")
    alone.get_by_role("button", name="Pause the noise sweep").click()
    assert saved(alone, "Save PNG")[1].startswith(b"\x89PNG")


def test_nothing_can_be_fetched_even_if_asked(browser: Browser, faces: Path) -> None:
    context = browser.new_context()
    page = context.new_page()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    opened(page, faces)
    outcome = page.evaluate("fetch('http://127.0.0.1:9/x').then(() => 'sent', error => error.name)")
    assert outcome == "TypeError"
    assert [url for url in sent if url.startswith("http")] == []
    context.close()


def test_options_that_are_not_stored(alone: Page, tmp_path: Path) -> None:
    """Sizes instead of signed means, and both extra panels: computed for the file, without a network."""
    options = Options("Mean image", 0, False, "absolute", None, "sum", 4, True, ("projection", "difference"))
    lab = opened(alone, write(tmp_path, "digits", options))
    alone.mouse.move(*centre_of(alone, "image", 5, 2, side=8))
    shows(lab, "^5,2 .* preview none$")
    rows = exact("digits", Pixel(5, 2), SIGMA).abs()
    assert (drawn(lab, "predicted") - rows).abs().max() <= 0.008 * rows.max()
    expect(alone.locator("[data-panel=learned] .empty")).to_contain_text("No network was trained")
    expect(alone.locator("[data-panel=projection] .empty")).to_contain_text("only for row 3, column 4")
    alone.mouse.move(5, 5)
    expect(alone.locator("[data-panel=projection] .empty")).to_be_empty()


def test_a_browser_that_cannot_unpack_says_so(alone: Page, tmp_path: Path) -> None:
    alone.add_init_script("delete window.DecompressionStream")
    alone.goto(write(tmp_path, "digits").as_uri())
    expect(alone.get_by_role("alert")).to_contain_text("This browser cannot unpack the stored fields")
    shows(alone.locator(".lab"), "^3,4 .* exact none$")
    alone.mouse.move(*centre_of(alone, "image", 5, 2, side=8))
    expect(alone.locator(".status")).to_contain_text("could not be unpacked")


def test_the_page_saves_the_view_it_shows(page: Page, alone: Page, server: str, tmp_path: Path) -> None:
    page.goto(f"{server}/?dataset=digits&px=2.6&sigma=1.25")
    page.locator('.lab[data-ready="1"]').wait_for()
    name, raw = saved(page, "One HTML file")
    assert name == "locality-digits-2-6.html"
    path = tmp_path / name
    path.write_bytes(raw)
    shows(opened(alone, path), r"^2,6 1\.25000 exact none$")
    link = alone.locator("dd code").first.inner_text()
    assert {"dataset=digits", "px=2.6", "sigma=1.25"} <= set(link.removeprefix("?").split("&"))


def test_screens_are_in_the_readers_own_colours(screen: Page, faces: Path) -> None:
    opened(screen, faces)
    assert pictures(screen, "standalone", whole=True) == {
        "light": ["rgb(255, 255, 255)", "rgb(14, 26, 34)"],
        "dark": ["rgb(15, 23, 29)", "rgb(228, 235, 239)"],
    }
