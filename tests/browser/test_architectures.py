"""The Architectures page in a browser: click, hover, measures, reload, saving; numbers against Python's."""

from __future__ import annotations

import re

import pytest
import torch
from playwright.sync_api import Locator, Page, expect

from locality.datasets import Source
from locality.fields.codec import LEARNED_SIGMAS
from locality.fields.jacobian import compare
from locality.linear.wiener import coordinates
from locality.studies import find_network, finish, fit_wiener, learned_table, pixel_grid, table_row
from locality.types import Pixel
from tests.browser.conftest import centre_of, pictures, saved_pictures

pytestmark = pytest.mark.browser
SET, SIDE, LEVEL = "faces", 32, 2


def open_page(page: Page, url: str, query: str = f"dataset={SET}") -> Locator:
    """Open the page and wait until all stored fields are in the browser."""
    page.goto(f"{url}/architectures?{query}")
    lab = page.locator('.lab[data-ready="1"]')
    lab.wait_for(timeout=120_000)
    return lab


def shows(lab: Locator, pattern: str) -> None:
    """Wait for `ROW,COL SIGMA FIELDS/PANELS`."""
    expect(lab).to_have_attribute("data-shown", re.compile(pattern))


def cell(page: Page, row: str, column: int) -> float:
    """A number of the matrix: by the row's name and the number of the column."""
    found = page.locator(".matrix tbody tr").filter(has=page.get_by_role("button", name=row, exact=True))
    return float(found.locator("td").nth(column).inner_text())


@pytest.fixture(scope="module")
def truth() -> tuple[torch.Tensor, torch.Tensor]:
    """Prediction and stored field of the UNet at one pixel and noise level, [h, w]."""
    source, pixel = Source.parse(SET), Pixel(11, 21)
    table = learned_table(find_network(source, "unet"))
    assert table is not None
    learned = table_row(table, LEVEL, pixel_grid(source.shape, 2).index(pixel)).reshape(SIDE, SIDE)
    wiener = finish(fit_wiener(source))
    rows = wiener.rows(coordinates(source.shape, pixel), LEARNED_SIGMAS[LEVEL]).sum(dim=0)
    return rows.reshape(source.shape).sum(dim=0).float(), learned


def test_a_click_shows_every_network_and_their_correlations(
    page: Page, server: str, truth: tuple[torch.Tensor, torch.Tensor]
) -> None:
    lab = open_page(page, server, f"dataset={SET}&sigma={LEARNED_SIGMAS[LEVEL]}&networks=unet")
    page.mouse.click(*centre_of(page, "image", 10, 20))  # the nearest stored pixel is 11, 21 or a neighbour of it
    shows(lab, r"^\d+,\d+ 0\.762 2/2$")
    page.mouse.click(*centre_of(page, "image", 11, 21))
    shows(lab, r"^11,21 0\.762 2/2$")
    expect(page).to_have_url(re.compile(r"px=11\.21"))
    predicted, learned = truth
    for measure, expected in {
        "Pearson r": compare(predicted, learned, Pixel(11, 21)).pearson,
        "Without centre": compare(predicted, learned, Pixel(11, 21)).pearson_off_centre,
        "Cosine": compare(predicted, learned, Pixel(11, 21)).cosine,
    }.items():
        button = page.get_by_role("button", name=measure, exact=True)
        button.click()
        expect(button).to_have_attribute("aria-pressed", "true")  # the matrix is drawn with it
        # two decimals on the screen, 8-bit fields
        assert cell(page, "UNet", 0) == pytest.approx(expected, abs=0.012), measure
        assert cell(page, "UNet", 1) == 1.0


def test_hover_moves_all_fields_and_leaving_brings_the_chosen_pixel_back(page: Page, server: str) -> None:
    lab = open_page(page, server)
    shows(lab, "^15,15 ")
    page.mouse.move(*centre_of(page, "image", 5, 9))
    shows(lab, "^5,9 ")
    before = lab.evaluate("root => [...root.lab.shown.fields[1]]")
    page.mouse.move(*centre_of(page, "image", 25, 19))
    shows(lab, "^25,19 ")
    assert lab.evaluate("root => [...root.lab.shown.fields[1]]") != before
    page.mouse.move(5, 5)
    shows(lab, "^15,15 ")


def test_noise_measure_reference_and_pixel_come_back_from_the_link(page: Page, server: str) -> None:
    lab = open_page(page, server)
    page.locator("[data-panel=image] canvas").press("ArrowDown")
    shows(lab, "^17,15 ")
    page.locator(".noise input").press("ArrowRight")
    shows(lab, "^17,15 2.26 ")
    page.get_by_role("button", name="Cosine").click()
    page.get_by_role("button", name="UNet", exact=True).click()
    expect(page).to_have_url(re.compile("reference=unet"))
    page.reload()
    lab = page.locator('.lab[data-ready="1"]')
    shows(lab, "^17,15 2.26 ")
    expect(page.locator(".curves-title")).to_contain_text("Cosine with UNet over noise")


def test_untrained_twins_appear_below(page: Page, server: str) -> None:
    lab = open_page(page, server, f"dataset={SET}&networks=unet")
    page.get_by_text("Untrained twins", exact=True).click()
    expect(page.locator("[data-panel=unet-untrained] h2")).to_have_text("Untrained")
    expect(page.locator("[data-panel=unet-untrained] .empty")).to_be_empty(timeout=60_000)
    trained, twin = lab.evaluate("root => [root.lab.shown.fields[1], root.lab.shown.twins[1]].map(f => [...f])")
    assert (
        compare(torch.tensor(trained).reshape(32, 32), torch.tensor(twin).reshape(32, 32), Pixel(15, 15)).cosine < 0.9
    )


def test_pictures_are_saved(page: Page, server: str) -> None:
    open_page(page, server)
    _, drawing = saved_pictures(page).values()
    assert "UNet" in drawing.decode()


def test_on_a_phone(phone: Page, server: str) -> None:
    open_page(phone, server)
    pictures(phone, "architectures")


def test_without_images_a_shipped_set_works(page: Page, bare_server: str) -> None:
    lab = open_page(page, bare_server, "dataset=cifar10")
    count = page.locator("[data-panel]").count() - 1
    shows(lab, rf" {count}/{count}$")
    assert count >= 2
