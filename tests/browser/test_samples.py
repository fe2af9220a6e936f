"""The Samples page in a browser: generate, cancel, walk the steps, click a pixel, reload; wide and narrow."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from locality.datasets import Source
from tests.browser.conftest import pictures, spot

pytestmark = pytest.mark.browser

QUICK = "model=optimal&model=wiener&model=nearest"
SLOW = "model=wiener&model=els:first=0,window=5&model=optimal"  # all places of all images, many times
AVAILABLE = Source.parse("fashion_mnist").available


def open_samples(page: Page, url: str, query: str) -> Locator:
    page.goto(f"{url}/samples?{query}")
    expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=60_000)
    return page.locator(".lab")


def generate(page: Page, url: str, query: str) -> Locator:
    """Open the page, press the button where something is missing, wait until all is drawn."""
    lab = open_samples(page, url, query)
    timed(page)
    button = page.get_by_role("button", name="Generate")
    if button.is_enabled():
        button.click()
    expect(page.get_by_text("These images are cached")).to_be_visible(timeout=100_000)
    return lab


def timed(page: Page) -> None:
    """Wait until it is said what all models will take, or that there is nothing to do."""
    known = page.get_by_text(re.compile("Timed on this machine|These images are cached|come with Locality Lab"))
    expect(known).to_be_visible(timeout=100_000)
    expect(page.get_by_text(re.compile("Timing .* on this machine…"))).to_have_count(0, timeout=100_000)


def shows(lab: Locator, pattern: str) -> None:
    """Wait for `WHAT STEP/STEPS` and the step each row is at."""
    expect(lab).to_have_attribute("data-shown", re.compile(pattern))


def pixels(lab: Locator) -> list[list[int]]:
    """Every image of the grid as it is on the screen."""
    found: list[list[int]] = lab.evaluate(
        """root => [...root.lab.tiles.flat()].filter(tile => tile.canvas)
            .map(({ canvas }) => [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data])"""
    )
    return found


@pytest.mark.parametrize(
    "name",
    [
        "digits",
        pytest.param(
            "fashion_mnist", marks=pytest.mark.skipif(not AVAILABLE, reason="the images are not on this machine")
        ),
    ],
)
def test_three_models_from_one_noise_and_again_from_the_link(page: Page, server: str, name: str) -> None:
    models = ("optimal:first=1000", "wiener", "nearest:first=1000")  # quick, whatever the dataset
    lab = open_samples(page, server, f"dataset={name}&model={'&model='.join(models)}&n=3&steps=4&seed=2")
    expect(page.get_by_text("No samples yet")).to_be_visible()
    timed(page)
    expect(page.get_by_text(re.compile(r"^Not computed yet: .*; together about \d+ s\."))).to_be_visible()
    page.get_by_role("button", name="Generate").click()
    shows(lab, r"^x0_hat 4/4 4 4 4$")
    expect(page.get_by_text("These images are cached")).to_be_visible()
    images = pixels(lab)
    assert len(images) == 9
    assert len({tuple(image) for image in images}) > 3

    page.reload()  # everything is in the link, and nothing is computed again
    shows(lab, r"^x0_hat 4/4 4 4 4$")
    expect(page.get_by_role("button", name="Generate")).to_be_disabled()
    assert pixels(lab) == images


def test_pointing_at_an_image_shows_its_nearest_training_image(page: Page, server: str) -> None:
    lab = generate(page, server, f"dataset=digits&{QUICK}&n=3&steps=4&seed=1")
    lab.get_by_role("img", name="nearest, image 2").hover()
    card = lab.locator(".card")
    expect(card).to_contain_text("Image 2 of nearest")
    expect(card).to_contain_text("L2 distance 0: RMS difference below 1/255.")
    expect(card).to_contain_text("A copy")
    page.mouse.move(5, 5)
    expect(card).to_be_hidden()
    lab.get_by_role("button", name="wiener").hover()
    expect(card).to_contain_text("Wiener 1949")


def test_what_is_found_while_an_image_is_pointed_at_is_reported_at_once(page: Page, server: str) -> None:
    """The search for the nearest images ends when it ends; whoever waits with the pointer at rest sees it."""
    lab = generate(page, server, f"dataset=digits&{QUICK}&n=3&steps=4&seed=1")
    lab.evaluate(
        """root => {
            const { head, arrays } = (root.sent = { head: root.lab.head, arrays: root.lab.arrays })
            root.lab.receive({ arrays, head: { ...head, rows: head.rows.map(row => ({ ...row, near: null })) } })
        }"""
    )
    page.mouse.move(*spot(lab.get_by_role("img", name="nearest, image 2"), 0.5, 0.5))
    card = lab.locator(".card")
    expect(card).to_contain_text("not known yet")
    lab.evaluate("root => root.lab.receive(root.sent)")
    expect(card).to_contain_text("A copy")


def test_slider_keys_and_play_walk_through_the_steps(page: Page, server: str) -> None:
    lab = generate(page, server, f"dataset=digits&{QUICK}&n=3&steps=4&seed=1")
    shows(lab, "^x0_hat 4/4")
    last = pixels(lab)
    page.get_by_role("slider", name="Step of the sampling").focus()
    page.keyboard.press("Home")
    shows(lab, "^x0_hat 1/4")
    first = pixels(lab)
    assert first != last
    expect(lab.locator(".where")).to_contain_text(re.compile(r"Step 1 of 4\s+σ = 17.4"))
    lab.get_by_role("img", name="optimal, image 1").focus()
    page.keyboard.press("ArrowRight")
    shows(lab, "^x0_hat 2/4")
    page.get_by_role("button", name="Noisy image x").click()
    shows(lab, "^x 2/4")
    expect(lab.locator(".about")).to_contain_text("divided by √(1 + σ²)")
    assert pixels(lab) != first
    page.get_by_role("button", name="Play the steps").click()
    shows(lab, "^x 4/4")
    expect(page.get_by_role("button", name="Play the steps")).to_be_visible()  # it stops at the end


def test_a_clicked_pixel_is_explained_and_in_the_link(page: Page, server: str) -> None:
    lab = generate(page, server, f"dataset=digits&{QUICK}&n=3&steps=4&seed=1")
    image = lab.get_by_role("img", name="optimal, image 3")
    page.mouse.click(*spot(image, 5.5 / 8, 2.5 / 8))
    expect(page.get_by_role("heading", name="What decided row 2, column 5")).to_be_visible()
    expect(page).to_have_url(re.compile(r"pick=0\.2\.2\.5\.3"))
    expect(page.get_by_alt_text(re.compile("^Training image .* weight"))).to_have_count(12)

    lab.get_by_role("img", name="wiener, image 1").focus()
    page.keyboard.press("Shift+ArrowDown")  # from the middle
    expect(page.get_by_role("heading", name="What decided row 5, column 4")).to_be_visible()
    expect(page.get_by_alt_text("Field of row 5, column 4")).to_be_visible()

    page.reload()
    expect(page.get_by_role("heading", name="What decided row 5, column 4")).to_be_visible()


def test_slow_models_wait_for_a_button_of_their_own_and_can_be_cancelled(page: Page, server: str) -> None:
    lab = open_samples(page, server, f"dataset=digits&{SLOW}&n=64&steps=1000&seed=3")
    timed(page)
    expect(page.get_by_text(re.compile("so only if you ask: els:first=0,window=5 about "))).to_be_visible()
    slow = page.get_by_role("button", name=re.compile("With (the slow model|slow models)"))  # on a busy machine several
    slow.click()
    wiener, els, optimal = (lab.locator(".who").nth(i).locator(".state") for i in range(3))
    expect(els).to_have_text(re.compile(r"^Step \d+ of 1,?000$"), timeout=100_000)
    expect(wiener).to_have_count(0, timeout=100_000)  # both are in the lane of short jobs
    expect(optimal).to_have_count(0, timeout=100_000)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Cancelled. What was finished is kept.")).to_be_visible(timeout=60_000)
    expect(els).to_have_text(re.compile(r"^Cancelled after step \d+ of 1,?000$"))
    assert lab.locator(".tile canvas").count() == 192
    expect(slow).to_be_enabled()


def test_the_page_opens_on_shipped_samples_and_explains_them(page: Page, bare_server: str) -> None:
    """Without images: a card names the nearest training image, and a pixel is explained where it was decided."""
    lab = open_samples(page, bare_server, "dataset=mnist")
    shows(lab, r"^x0_hat 10/10 10 10 10 10$")
    lab.get_by_role("img", name="optimal, image 1").hover()
    expect(lab.locator(".card")).to_contain_text("which is not on this machine")
    expect(lab.locator(".card")).to_contain_text("A copy")
    page.mouse.click(*spot(lab.get_by_role("img", name="wiener, image 2"), 0.02, 0.02))  # a corner: always black
    expect(page.get_by_text(re.compile(r"Decided at step \d+"))).to_be_visible()
    expect(page.get_by_alt_text("Field of row 0, column 0")).to_be_visible()
    page.get_by_text("Step 10, shown").click()
    expect(page.get_by_text(re.compile("step 10 of 10, noise level"))).to_be_visible()


def test_without_images_each_model_draws_or_says_what_it_lacks(page: Page, bare_server: str) -> None:
    lab = open_samples(page, bare_server, "dataset=fashion_mnist&model=wiener&model=optimal&n=2&steps=2")
    timed(page)
    page.get_by_role("button", name="Generate").click()
    shows(lab, "^x0_hat 2/2 2 0$")
    expect(lab.locator(".why")).to_contain_text("images are not on this machine")
    lab.get_by_role("img", name="wiener, image 1").hover()
    expect(lab.locator(".card")).to_contain_text("The training images are not on this machine")


def test_screens(screen: Page, server: str) -> None:
    lab = generate(screen, server, f"dataset=digits&{QUICK}&n=8&steps=4&seed=1&pick=0.1.3.4.3")
    expect(screen.get_by_role("heading", name="What decided row 3, column 4")).to_be_visible()
    shows(lab, "^x0_hat 4/4 4 4 4$")
    pictures(screen, "samples")
    box = lab.locator(".tile canvas").first.bounding_box()
    assert box is not None
    assert box["width"] == pytest.approx(box["height"], rel=0.02)
