"""The front door in a browser: what a first visit shows, what it does by itself, and what it leaves to the reader."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from playwright.sync_api import Browser, Locator, Page, expect

from locality.datasets import DATASETS, Source
from locality.fields.codec import LEARNED_SIGMAS
from pages._ui.choice import default_dataset
from tests.browser.conftest import centre_of, pictures, spot, watched
from tests.browser.test_explorer import drawn, open_explorer, shows

pytestmark = pytest.mark.browser
SCREENS = [(1440, 900), (1280, 800), (1024, 768), (390, 844)]
MOVED = """window.moved = 0
new PerformanceObserver(list => {
  for (const one of list.getEntries()) if (!one.hadRecentInput) window.moved += one.value
}).observe({ type: "layout-shift", buffered: true })"""


def opening() -> tuple[tuple[int, int], float]:
    """Pixel and noise level of the first visit, as the library has them."""
    spec = Source.parse(default_dataset()).spec
    return tuple(next(iter(spec.landmarks().values()))), spec.telling_sigma  # type: ignore[return-value]


@pytest.mark.parametrize("size", SCREENS, ids=lambda size: f"{size[0]}x{size[1]}")
def test_picture_fields_and_slider_fit_on_the_screen(browser: Browser, server: str, size: tuple[int, int]) -> None:
    with watched(browser, *size) as page:
        page.add_init_script(MOVED)
        lab = open_explorer(page, server, "")
        (row, col), sigma = opening()
        shows(lab, rf"^{row},{col} {re.escape(f'{sigma:#.6g}')} exact (live|stored)")
        parts = [f"[data-panel={name}] canvas" for name in ("image", "predicted", "learned")] + [
            ".noise input",
            ".prompt",
        ]
        boxes = [lab.locator(part).first.bounding_box() for part in parts]
        assert all(box and box["y"] >= 0 and box["y"] + box["height"] <= size[1] for box in boxes), boxes
        assert all(box and box["x"] >= 0 and box["x"] + box["width"] <= size[0] for box in boxes), boxes
        expect(lab.locator(".radius circle").nth(len(LEARNED_SIGMAS) - 1)).to_be_attached()  # of stored draws
        assert page.evaluate("window.moved") < 0.02, "the page has moved under the reader's eyes"
        expect(page).to_have_title(re.compile("^Explorer"))
        colours = pictures(page, f"front-{size[1]}")
        middle = lab.evaluate("lab => lab.style.getPropertyValue('--map')")
        assert colours["dark"][0] != colours["light"][0]
        assert "24,35,43" in middle.replace(" ", ""), "the map of a dark page has a dark centre"


@pytest.mark.parametrize(
    ("path", "dataset", "name"),
    [
        ("benchmark", "power_law", "fashion_mnist"),
        ("train", "mnist", "faces"),
        ("edit-statistics", "afhq_cats", "fashion_mnist"),
    ],
)
def test_a_set_that_is_offered_is_in_the_address(
    page: Page, bare_server: str, path: str, dataset: str, name: str
) -> None:
    page.goto(f"{bare_server}/{path}?dataset={dataset}")
    offer = page.get_by_role("button", name=f"Show {DATASETS[name].info.title}")
    offer.click()
    expect(page).to_have_url(re.compile(f"[?&]dataset={name}(&|$)"))
    expect(offer).to_have_count(0)
    expect(page).to_have_url(re.compile(f"[?&]dataset={name}(&|$)"))


@pytest.mark.parametrize("path", ["data", "samples", "architectures", "train", "edit-statistics", "your-images"])
def test_a_page_stays_where_it_is_while_it_loads(page: Page, server: str, path: str) -> None:
    """0.1 to 0.3 on four of them without their kept places; below 0.02 on an idle machine, 0.052 on a slow one."""
    page.add_init_script(MOVED)
    page.goto(f"{server}/{path}")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.wait_for_load_state("networkidle")
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0)
    for lab in page.locator(".lab").all():
        expect(lab).to_be_visible()
    assert page.evaluate("window.moved") < 0.08


def test_the_menu_of_a_phone_can_be_seen(phone: Page, server: str) -> None:
    open_explorer(phone, server, "")
    link = phone.get_by_role("link", name="Data", exact=True).last
    box = link.bounding_box()
    assert box is not None
    assert 0 <= box["x"] < 390
    assert box["y"] < 60
    link.click()
    expect(phone).to_have_title(re.compile("^Data"))


SIGMAS = """window.sigmas = new Set()
setInterval(() => { for (const one of document.querySelectorAll("*")) {
  const lab = one.shadowRoot?.querySelector(".lab")?.lab
  if (lab?.sigma) window.sigmas.add(lab.sigma)
} }, 30)"""


def visit(browser: Browser, url: str, **more: Any) -> Page:
    page = browser.new_context(viewport={"width": 1440, "height": 900}, **more).new_page()
    page.set_default_timeout(60_000)
    page.add_init_script(SIGMAS)
    page.goto(url)
    page.locator('.lab[data-ready="1"]').wait_for(timeout=120_000)
    return page


def test_the_noise_sweeps_once_and_stops_at_any_input(browser: Browser, server: str) -> None:
    (row, col), sigma = opening()
    page = visit(browser, server)
    lab = page.locator(".lab")
    page.wait_for_function("window.sigmas.size > 3")  # it sweeps by itself
    page.keyboard.press("Shift")
    expect(lab).not_to_have_attribute("data-sweeping", "1")
    held = lab.evaluate("lab => lab.lab.sigma")
    page.wait_for_timeout(500)
    assert lab.evaluate("lab => lab.lab.sigma") == pytest.approx(held, rel=1e-5)  # the link keeps six digits
    page.reload()
    lab = page.locator('.lab[data-ready="1"]')
    shows(lab, rf"^{row},{col} {re.escape(f'{sigma:#.6g}')} exact")
    assert lab.get_attribute("data-sweeping") is None, "once"
    page.context.close()


@pytest.mark.parametrize("how", ["link", "calm"])
def test_no_sweep_where_the_link_names_a_noise_level_or_the_reader_wants_calm(
    browser: Browser, server: str, how: str
) -> None:
    calm: dict[str, Any] = {"reduced_motion": "reduce"} if how == "calm" else {}
    page = visit(browser, f"{server}/?sigma=0.7" if how == "link" else server, **calm)
    lab = page.locator(".lab")
    expect(lab).to_have_attribute("data-shown", re.compile(" exact "))
    before = lab.evaluate("lab => lab.lab.sigma")
    page.wait_for_timeout(500)
    assert lab.evaluate("lab => lab.lab.sigma") == before
    assert lab.get_attribute("data-sweeping") is None
    page.context.close()


def test_the_learned_field_only_gets_better(page: Page, server: str) -> None:
    """While the pointer rests draws are added, and their number never falls; the prediction comes before them."""
    lab = open_explorer(page, server, "?dataset=faces&px=15.15&sigma=1")
    lab.evaluate(
        """lab => { window.seen = []
        const look = () => window.seen.push([lab.dataset.shown, +lab.dataset.draws])
        new MutationObserver(look).observe(lab, { attributes: true }) }"""
    )
    page.mouse.click(*centre_of(page, "image", 11, 21))
    page.mouse.move(5, 5)
    expect(lab).to_have_attribute("data-shown", re.compile("^11,21 .* live$"))  # the pixel before may have as many
    drawn(lab, 24 + 16)
    seen = page.evaluate("window.seen")
    here = [(shown, draws) for shown, draws in seen if shown.startswith("11,21")]
    draws = [count for _, count in here]
    assert draws == sorted(draws)
    assert draws[0] == 24, "stored ones first"
    exact = next(i for i, (shown, _) in enumerate(here) if " exact " in shown)
    live = next(i for i, (shown, _) in enumerate(here) if shown.endswith("live"))
    assert exact < live, "the prediction arrives in a message of its own"
    expect(page.locator("[data-panel=learned] .sub")).to_contain_text("24 of them stored")
    expect(page.locator("[data-panel=learned] figcaption")).to_contain_text("±")


def test_the_images_to_choose_from_are_those_about_the_chosen_one(page: Page, server: str) -> None:
    lab = open_explorer(page, server, "?dataset=digits&index=25")
    expect(lab.get_by_role("button", name=re.compile("^Test image"))).to_have_count(12)
    expect(lab.get_by_role("button", name="Test image 25")).to_have_attribute("aria-pressed", "true")
    lab.get_by_role("button", name="Test image 30").click()
    expect(page.get_by_role("heading", name="Test image 30")).to_be_visible()
    expect(page).to_have_url(re.compile("index=30"))
    expect(lab.get_by_role("button", name="Test image 30")).to_have_attribute("aria-pressed", "true")
    truth = Source.parse("digits").held_out.x0(torch.tensor([30]))[0]
    assert lab.evaluate("lab => [...lab.lab.x0]") == pytest.approx(truth.tolist(), abs=1e-6)


def test_other_images_bring_their_own_strip(page: Page, server: str) -> None:
    lab = open_explorer(page, server, "?dataset=cifar10&sigma=1")
    shows(lab, " exact ")
    first = "lab => lab.querySelector('.strip canvas').toDataURL()"
    expect(lab.locator(".strip canvas")).to_have_count(12)
    before = lab.evaluate(first)
    page.locator(".st-key-dataset label").filter(has_text="AFHQ cats").click()
    expect(lab.locator(".prompt")).to_have_text("Click an eye. Drag the noise.")
    eye = next(iter(Source.parse("afhq_cats").spec.landmarks().values()))
    shows(lab, rf"^{eye.row},{eye.col} 1\.00000 exact")
    page.wait_for_function(
        "([lab, before]) => lab.querySelector('.strip canvas').toDataURL() !== before",
        arg=[lab.element_handle(), before],
    )


def test_back_restores_the_view(page: Page, server: str) -> None:
    lab = open_explorer(page, server, "?dataset=digits&sigma=0.5")
    page.mouse.click(*centre_of(page, "image", 2, 5, side=8))
    shows(lab, r"^2,5 0\.500000 exact")
    expect(page).to_have_url(re.compile("px=2.5"))
    page.mouse.click(*centre_of(page, "image", 6, 1, side=8))
    page.mouse.move(5, 5)
    shows(lab, r"^6,1 0\.500000 exact")
    expect(page).to_have_url(re.compile("px=6.1"))
    page.go_back()
    shows(lab, r"^2,5 0\.500000 exact")
    page.mouse.click(*centre_of(page, "image", 3, 3, side=8))
    shows(lab, r"^3,3 0\.500000 exact")  # and the next click counts


def test_a_click_on_the_curve_sets_the_noise_which_goes_with_the_reader(page: Page, server: str) -> None:
    lab = open_explorer(page, server, "?dataset=digits&sigma=0.5")
    shows(lab, r" 0\.500000 exact")
    expect(lab.locator(".radius svg polyline").first).to_be_visible()
    page.mouse.click(*spot(lab.locator(".radius"), 0.8, 0.5))  # which stays when the drawing in it is replaced
    shows(lab, r" [3-9]\.\d+ exact")
    expect(page).to_have_url(re.compile(r"sigma=[3-9]"))
    sigma = lab.evaluate("lab => lab.lab.sigma")
    page.get_by_role("link", name="Data").first.click()
    expect(page).to_have_title(re.compile("^Data"))
    page.get_by_role("link", name="Explorer").first.click()
    expect(page.locator(".lab")).to_have_attribute("data-shown", re.compile(re.escape(f" {sigma:#.6g} ")))


def leaves(lab: Locator) -> None:
    expect(lab).not_to_have_class(re.compile("presenting"))


def test_presenting(page: Page, server: str) -> None:
    lab = open_explorer(page, server, "?dataset=digits&sigma=0.5")
    shows(lab, r" 0\.500000 exact")
    lab.get_by_role("button", name="Present").click()
    expect(lab).to_have_class(re.compile("presenting"))
    box = lab.bounding_box()
    assert box is not None
    assert (box["width"], box["height"]) == (1440, 900)
    expect(lab.locator(".noise input")).to_be_in_viewport()
    page.screenshot(path="tests/browser/screenshots/present.png")
    for key in ("ArrowRight", "ArrowRight", "PageUp"):
        page.keyboard.press(key)
    shows(lab, r" 0\.63\d+ exact")  # one step on in all: 4 % of the slider
    page.keyboard.press("Escape")
    leaves(lab)
    lab.get_by_role("button", name="Present").click()
    lab.get_by_role("button", name="Leave").click()
    leaves(lab)
