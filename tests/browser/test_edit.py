"""The page of edits in a browser: paint, drag, click, keys; its numbers against Python's; reload, saving, widths."""

from __future__ import annotations

import re

import pytest
import torch
from playwright.sync_api import Locator, Page, expect

from locality.datasets import Source
from locality.edits import draw_mask
from locality.fields.jacobian import mass_on
from locality.studies import Draws, finish, pixel_field
from locality.types import Pixel
from tests.browser.conftest import pictures, saved_pictures, spot

pytestmark = pytest.mark.browser
SET, SIDE = "fashion_mnist", 28


def open_page(page: Page, url: str, query: str = f"dataset={SET}") -> Locator:
    """Open the page and wait until its basis is in the browser."""
    page.goto(f"{url}/edit-statistics?{query}")
    lab = page.locator('.lab[data-ready="1"]')
    lab.wait_for(timeout=110_000)
    return lab


def place(page: Page, selector: str, row: float, col: float) -> tuple[float, float]:
    return spot(page.locator(selector), (col + 0.5) / SIDE, (row + 0.5) / SIDE)


def on_pattern(page: Page) -> float:
    """The number the table shows for the predicted field after the edit, in percent."""
    page.wait_for_timeout(150)  # in a drag the table follows every 80 ms, not every frame
    return float(page.locator('[data-number="mass"] td').nth(2).inner_text().rstrip(" %"))


def drag(page: Page, slider: str, share: float) -> list[float]:
    """Move a slider's handle to a share of its way in steps, without letting go; the number at every step."""
    (start, y), (end, _) = (spot(page.locator(slider), where, 0.5) for where in (0.25, share))
    seen = []
    page.mouse.move(start, y)
    page.mouse.down()
    for i in range(1, 6):
        page.mouse.move(start + i / 5 * (end - start), y)
        seen.append(on_pattern(page))
    return seen


def shown(lab: Locator, name: str) -> torch.Tensor:
    return torch.tensor(lab.evaluate(f"root => [...root.lab.shown.fields.{name}]")).reshape(SIDE, SIDE)


def test_paint_drag_and_read_the_number_change(page: Page, bare_server: str) -> None:
    lab = open_page(page, bare_server)
    page.get_by_role("button", name="Clear", exact=True).click()
    expect(page.locator(".status")).to_have_text("The pattern is empty: paint at least one pixel.")
    canvas = ".mask canvas"
    page.mouse.move(*place(page, canvas, 14, 4))
    page.mouse.down()
    page.mouse.move(*place(page, canvas, 14, 24), steps=4)
    while_painting = on_pattern(page)
    page.mouse.up()
    assert while_painting > 0
    expect(page).to_have_url(re.compile(r"edit=pattern%3Amask%3Dbits\.28x28\."))
    expect(page.locator(".paint-read")).to_contain_text("21 pixels")
    page.mouse.click(*place(page, "[data-panel=predicted-after] canvas", 14, 20))
    expect(lab).to_have_attribute("data-shown", re.compile(r"^14,20 2\.00000 0\.500000 exact$"))
    before = on_pattern(page)
    seen = drag(page, ".dial input", 0.03)
    assert seen == sorted(seen, reverse=True), "the weaker the pattern, the less of the field lies on it"
    assert seen[-1] < seen[0]
    page.mouse.up()
    expect(lab).to_have_attribute("data-shown", re.compile("exact$"))
    level = float(lab.evaluate("root => root.lab.level"))
    assert on_pattern(page) < before
    # The same in Python, from the link.
    text = page.evaluate("() => new URLSearchParams(location.search).get('edit')")
    source = Source.parse(f"{SET}+{text}")
    assert source.edits[0].level == pytest.approx(level)
    field = finish(pixel_field(source, "wiener", Pixel(14, 20), 2.0, Draws())).sum(dim=(0, 1))
    mask = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    mask[14, 4:25] = True
    assert on_pattern(page) == pytest.approx(100 * mass_on(field, mask), abs=0.1)


def test_the_browsers_own_fields_equal_pythons(page: Page, bare_server: str) -> None:
    """While the pointer moves nothing comes from the server: another pixel, noise and strength, made in the browser."""
    lab = open_page(page, bare_server)
    lab.evaluate("root => { const v = root.lab; v.hover = [9, 17]; v.sigma = 1.1; v.level = 1.4; v.draw() }")
    assert lab.get_attribute("data-shown") == "9,17 1.10000 1.40000 preview"
    for name, text in (("predicted_before", SET), ("predicted_after", f"{SET}+pattern:W,strength=1.4")):
        truth = finish(pixel_field(Source.parse(text), "wiener", Pixel(9, 17), 1.1, Draws())).sum(dim=(0, 1))
        assert (shown(lab, name) - truth).abs().max() < 2e-4 * float(truth.abs().max())


def test_shapes_keys_and_reload(page: Page, bare_server: str) -> None:
    lab = open_page(page, bare_server)
    page.get_by_role("button", name="ring", exact=True).click()
    expect(page).to_have_url(re.compile("edit=pattern%3Amask%3Dring"))
    page.locator("[data-panel=predicted-after] canvas").press("ArrowDown")
    expect(page).to_have_url(re.compile(r"px=\d+\.\d+"))
    expect(lab.locator(".aloud")).to_have_text(re.compile(r"^Row \d+, column \d+: on the pattern \d.* % before, \d"))
    page.locator(".noise input").press("ArrowLeft")
    expect(page).to_have_url(re.compile("sigma=1.9"))
    shown_before = lab.get_attribute("data-shown")
    page.get_by_role("button", name="Linear", exact=True).click()
    expect(page).to_have_url(re.compile("colours=linear"))
    page.reload()
    lab = page.locator('.lab[data-ready="1"]')
    lab.wait_for(timeout=110_000)
    expect(lab).to_have_attribute("data-shown", re.compile("exact$"))
    assert (lab.get_attribute("data-shown") or "").split()[0] == (shown_before or "").split()[0]
    expect(page.locator("[data-shape=ring]")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("[data-colours=linear]")).to_have_attribute("aria-pressed", "true")
    mask = torch.tensor(lab.evaluate("root => [...root.lab.mask]")).reshape(SIDE, SIDE)
    assert torch.equal(mask, torch.from_numpy(draw_mask("ring", SIDE, SIDE)).long())


def test_playing_drives_the_strength_until_it_is_paused(page: Page, bare_server: str) -> None:
    lab = open_page(page, bare_server)
    expect(lab).to_have_attribute("data-shown", re.compile("exact$"))
    page.get_by_role("button", name="Play the strength").click()
    expect(lab).to_have_attribute("data-shown", re.compile("preview$"))
    page.get_by_role("button", name="Pause the strength").click()
    expect(page.get_by_role("button", name="Play the strength")).to_be_visible()
    expect(lab).to_have_attribute("data-shown", re.compile("exact$"))
    level = float(lab.evaluate("root => root.lab.level"))
    assert level != 0.5
    expect(page).to_have_url(re.compile(f"strength%3D{level:g}"))


def test_an_edit_without_a_live_form_follows_the_release(page: Page, bare_server: str) -> None:
    lab = open_page(page, bare_server, f"dataset={SET}&edit=blur:1")
    before = shown(lab, "predicted_after")
    page.locator(".dial input").focus()
    for _ in range(3):
        page.keyboard.press("PageUp")
    expect(page).to_have_url(re.compile(r"blur%3Aradius%3D(?!1\b)"))
    expect(lab).to_have_attribute("data-shown", re.compile("exact$"), timeout=60_000)
    assert (shown(lab, "predicted_after") - before).abs().max() > 1e-4
    expect(page.locator(".paint")).to_be_hidden()


def test_pictures_are_saved(page: Page, bare_server: str) -> None:
    open_page(page, bare_server)
    found = saved_pictures(page)
    assert all(name.startswith("edit-fashion_mnist-pattern-mask-W") for name in found)
    assert "Predicted field" in list(found.values())[1].decode()


def test_on_a_phone(phone: Page, bare_server: str) -> None:
    open_page(phone, bare_server)
    pictures(phone, "edit")


def test_a_shape_takes_the_pixel_along_and_the_learned_field_before_stays(page: Page, bare_server: str) -> None:
    lab = open_page(page, bare_server, f"dataset={SET}&px=1.1")
    expect(lab).to_have_attribute("data-shown", re.compile(r"^1,1 .* exact$"))
    page.get_by_role("button", name="X", exact=True).click()
    expect(lab).to_have_attribute("data-shown", re.compile(r"^(?!1,1 )\d+,\d+ .* exact$"))
    row, col = (int(part) for part in (lab.get_attribute("data-shown") or "").split()[0].split(","))
    assert draw_mask("X", SIDE, SIDE)[row, col], "the field of a pixel off the pattern hardly changes"
    expect(page).to_have_url(re.compile(f"px={row}.{col}"))
    # No network is trained on an X: the field of the one of the images as they are stays where it was.
    page.wait_for_load_state("networkidle")
    expect(page.locator("[data-panel=learned-after] .empty")).to_contain_text("train one below")
    expect(page.locator("[data-panel=learned-before] .empty")).to_be_empty()
    assert float(shown(lab, "learned_before").abs().max()) > 0


def test_outlines_are_hidden(page: Page, bare_server: str) -> None:
    open_page(page, bare_server)
    outline, drawn = page.get_by_role("button", name="Outline"), page.locator("[data-panel=predicted-after] svg path")
    expect(drawn).to_have_count(1)
    outline.click()
    expect(outline).to_have_attribute("aria-pressed", "false")
    expect(drawn).to_have_count(0)
    outline.click()
    expect(drawn).to_have_count(1)
