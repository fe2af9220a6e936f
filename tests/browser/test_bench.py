"""The Benchmark page in a browser: sort, filter, pick a cell, reload, save; on a machine without images."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.benches import leaderboard
from tests.browser.conftest import pictures, saved

pytestmark = pytest.mark.browser
SET = "fashion_mnist"


def open_page(page: Page, url: str, query: str = f"dataset={SET}") -> Locator:
    page.goto(f"{url}/benchmark?{query}")
    lab = page.locator(".lab")
    lab.locator("tbody tr").first.wait_for(timeout=60_000)
    return lab


def order(lab: Locator) -> list[str]:
    return (lab.get_attribute("data-shown") or "").split(" ")


def test_sort_filter_and_pick(page: Page, bare_server: str) -> None:
    lab = open_page(page, bare_server)
    made = leaderboard(SET)
    models = [result.name for result in made.results if result.kind in ("analytic", "network")]
    by_final = sorted(models, key=lambda name: -made.summary(name, "r2_final").mean)
    assert [name for name in order(lab) if name in models] == by_final
    lab.locator("[data-sort=denoise_ratio]").click()
    by_error = sorted(models, key=lambda name: made.summary(name, "denoise_ratio").mean)
    assert [name for name in order(lab) if name in models] == by_error, "below is better, so the least comes first"
    lab.locator("[data-sort=denoise_ratio]").click()
    assert [name for name in order(lab) if name in models] == by_error[::-1]
    lab.get_by_role("searchbox").fill("pca")
    assert order(lab) == [name for name in by_error[::-1] if "pca" in name]
    assert set(order(lab)) == {"pca_locality", "pca_locality:mask_rule=code"}
    lab.get_by_role("searchbox").fill("")
    lab.get_by_role("button", name=re.compile(r"^Wiener, R2 on-trajectory: ")).click()
    expect(page.get_by_role("heading", name="Wiener: R2 on-trajectory")).to_be_visible()
    expect(page).to_have_url(re.compile("cell=wiener%7Cr2_trajectory"))
    page.reload()
    expect(page.get_by_role("heading", name="Wiener: R2 on-trajectory")).to_be_visible(timeout=60_000)
    expect(page.locator("td.picked button")).to_have_attribute("aria-label", re.compile("^Wiener, R2 on-trajectory"))
    expect(page.locator('img[alt="wiener, image 1"]')).to_be_visible()


def test_every_column_can_be_reached(page: Page, bare_server: str) -> None:
    lab = open_page(page, bare_server)
    more = lab.locator(".more")
    expect(more).to_have_text(re.compile(r"^\d+ more columns →$"))
    edge = "getBoundingClientRect().right"
    last = f"box => box.querySelector('thead th:last-child').{edge} - box.{edge}"
    assert lab.locator(".scroll").evaluate(last) > 100
    for _ in range(8):
        text = more.inner_text()
        if text == "← first columns":
            break
        more.click()
        expect(more).not_to_have_text(text)
        page.wait_for_timeout(700)  # it scrolls smoothly
    expect(more).to_have_text("← first columns")
    assert lab.locator(".scroll").evaluate(last) < 10


def test_the_table_is_saved(page: Page, bare_server: str) -> None:
    open_page(page, bare_server)
    page.get_by_role("button", name="Copy or save").click()
    _, table = saved(page, re.compile("^Save bench-fashion_mnist"))
    assert table.startswith(b"| model |")


def test_on_a_phone(phone: Page, bare_server: str) -> None:
    open_page(phone, bare_server)
    pictures(phone, "bench")
