"""Every page in a browser as wide as a laptop's, light and dark: no violation under axe-core, nothing too wide."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.conftest import ROOT, SCHEMES, picture

pytestmark = pytest.mark.browser
FILES = sorted((ROOT / "pages").glob("[a-z]*/[0-9][0-9]_*.py"), key=lambda path: path.name)
LESSONS = sorted((ROOT / "pages" / "_ui" / "lessons").glob("lesson_[0-9]*_*.py"))
PAGES = ["", *(path.stem[3:].replace("_", "-").lower() for path in FILES[1:])]  # as the menu lists them
PAGES += [f"lesson-{path.stem.split('_')[1]}" for path in LESSONS]
SETTLED = '[data-testid="stApp"][data-test-script-state="notRunning"]'


def settle(page: Page) -> None:
    """Wait until the page has run and its views have what they show."""
    page.locator("h1").first.wait_for(timeout=110_000)
    page.locator(SETTLED).wait_for(timeout=110_000, state="attached")
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(500)  # fragments run once more after their page


def violations(page: Page) -> list[str]:
    """What axe-core finds, one line for each element: rule, element, reason."""
    found: Any = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {' '.join(map(str, node['target']))}: {node['html'][:160]}: "
        + "; ".join(check["message"] for kind in ("any", "all", "none") for check in node[kind])
        for one in found
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("name", PAGES)
def test_no_violation(name: str, page: Page, bare_server: str) -> None:
    page.goto(f"{bare_server}/{name}?dataset=fashion_mnist")
    settle(page)
    found = {}
    for scheme in SCHEMES:
        picture(page, f"page-{name or 'explorer'}", scheme)
        if lines := violations(page):
            found[str(scheme)] = lines
    assert not found, "\n".join(f"{scheme}: {line}" for scheme, lines in found.items() for line in lines)
