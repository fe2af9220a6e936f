"""Plug-ins from outside in a browser: a dataset and an edit nobody here knows; a click on the edit's dial."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Page, expect

from tests.browser.conftest import ROOT, pictures, running_app, spot

pytestmark = pytest.mark.browser
FILES = sorted((Path(__file__).parents[1] / "outside").glob("*.py"))


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment with a made-up plug-in of each kind, from a folder outside."""
    folder = tmp_path_factory.mktemp("plugins")
    for file in FILES:
        shutil.copy(file, folder)
    return {**os.environ, "LOCALITY_PLUGINS": str(folder)}


@pytest.fixture(scope="module")
def plugged_server(plugins: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app with them."""
    folder = tmp_path_factory.mktemp("plugged")
    with running_app(folder / "cache", folder / "log", plugins) as url:
        yield url


def predicted(dataset: str, folder: Path, plugins: dict[str, str]) -> NDArray[np.float32]:
    """The field of row 4, column 3 at sigma 1, from the command line."""
    words = ["field", dataset, "--pixel", "4,3", "--sigma", "1", "--out", str(folder / "field.npz")]
    subprocess.run([sys.executable, "-m", "locality", *words], cwd=ROOT, env=plugins, check=True, timeout=120)
    with np.load(folder / "field.npz") as file:
        found: NDArray[np.float32] = file["field"].reshape(-1)
    return found


def test_a_click_on_the_dial_of_an_edit_from_outside(
    page: Page, plugged_server: str, plugins: dict[str, str], tmp_path: Path
) -> None:
    """Its name and symbol stand at the dial; the field after the click is that of the command line."""
    page.goto(f"{plugged_server}/edit-statistics?dataset=gratings&edit=fade:amount=0.5&px=4.3&sigma=1")
    lab = page.locator('.lab[data-ready="1"]')
    lab.wait_for(timeout=110_000)
    dial = page.locator(".dial")
    expect(dial.locator(".name")).to_have_text("Amount")
    expect(dial.locator("output")).to_have_text("a = 0.5")
    x, y = spot(dial.locator("input"), 0.25, 0.5)
    page.mouse.click(x, y)
    expect(page).to_have_url(re.compile(r"edit=fade%3Aamount%3D0\.[12]"), timeout=60_000)
    expect(dial.locator("output")).to_have_text(re.compile(r"^a = 0\.[12]"))
    expect(lab).to_have_attribute("data-shown", re.compile("exact$"), timeout=60_000)
    amount = float(lab.evaluate("root => root.lab.level"))
    assert 0.15 < amount < 0.3
    truth = predicted(f"gratings+fade:amount={amount:g}", tmp_path, plugins)
    shown = np.array(lab.evaluate("root => [...root.lab.shown.fields.predicted_after]"))
    np.testing.assert_allclose(shown, truth, atol=1e-4 * float(np.abs(truth).max()))
    weaker = predicted("gratings+fade:amount=0.5", tmp_path, plugins)
    assert np.abs(weaker - truth).max() > 0.05 * float(np.abs(truth).max())
    pictures(page, "plugin-edit")
