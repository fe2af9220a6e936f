"""The view as one HTML file: what is in it, that it asks for nothing, and that it says what it shows."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import locality
from locality.datasets import Source
from locality.fields.codec import TABLE_SIGMAS
from locality.linear.wiener import WienerFilter
from locality.studies import find_network, finish, fit_wiener, predicted_table
from locality.types import ImageShape, Pixel
from pages._ui.explorer import facts, fields, options, standalone
from pages._ui.explorer.view import View
from pages._ui.lab.modules import linked
from tests.app.opened import open_page
from tests.buffer import unpacked

OPTIONS = options.Options("Mean image", 0, True, "mean", None, "sum", 16, False, ())
VIEW = View(Pixel(2, 5), 0.7, Pixel(0, 0), 9)
QUERY = "dataset=digits&px=2.5&sigma=0.7"


class Page(HTMLParser):
    """Elements with attributes, and the text of every script by id."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.scripts: dict[str, str] = {}
        self.words = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts[self.elements[-1][1].get("id") or ""] = data
        elif self.open and self.open[-1] != "style":
            self.words += data

    def table(self, name: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        return unpacked(gzip.decompress(base64.b64decode(self.scripts[name])))


@pytest.fixture(scope="module")
def digits() -> tuple[Source, WienerFilter]:
    source = Source.parse("digits")
    return source, finish(fit_wiener(source))


@pytest.fixture(scope="module")
def text(digits: tuple[Source, WienerFilter]) -> str:
    return standalone.standalone(*digits, None, OPTIONS, VIEW, QUERY).decode()


def test_it_is_a_whole_page_that_refers_to_nothing(text: str) -> None:
    page = Page(text)
    assert text.startswith("<!doctype html>")
    assert not page.open
    assert not {"link", "img", "iframe", "object", "embed", "base", "a"} & {tag for tag, _ in page.elements}
    assert not [attrs for _, attrs in page.elements if {"src", "href", "srcset", "action"} & set(attrs)]
    addresses = set(re.findall(r"(?:https?:)?//[\w.-]+\.[\w/.]+", re.sub(r"[A-Za-z0-9+/=]{200,}", "", text)))
    assert addresses <= {"http://www.w3.org/2000/svg"}, "a name of a format, not an address"
    assert not re.search(r"@import|url\((?!#)", text)


def test_its_own_policy_forbids_fetching_and_other_scripts(text: str) -> None:
    page = Page(text)
    policy = next(attrs["content"] for _, attrs in page.elements if attrs.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    digest = base64.b64encode(hashlib.sha256(page.scripts[""].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in policy


def test_the_script_is_the_page_s_own(text: str) -> None:
    shared, _, _ = linked(Path(standalone.__file__).parent / "view.js").partition("\nexport ")
    assert shared.count("\n") > 500
    assert shared in text
    assert "\nexport " not in Page(text).scripts[""]


def test_start_and_tables_hold_what_the_page_shows(text: str, digits: tuple[Source, WienerFilter]) -> None:
    page, (_, wiener) = Page(text), digits
    head, arrays = unpacked(base64.b64decode(page.scripts["start"]))
    truth = fields.predicted(wiener, VIEW.pixel, VIEW.sigma, OPTIONS)
    assert np.array_equal(arrays["predicted"], truth.ravel())
    assert head["exact"] == {"pixel": [2, 5], "sigma": 0.7}
    assert head["tables"]["predicted"] == [f"predicted-{i}" for i in range(12)]
    assert head["tables"]["learned"] is None
    for i, name in enumerate(head["tables"]["predicted"]):
        _, stored = page.table(name)
        expected = predicted_table(wiener, i).arrays
        assert np.array_equal(stored["codes"], expected["codes"].numpy().ravel())
        assert np.array_equal(stored["scale"], expected["scale"].numpy())


def test_it_says_what_it_shows(text: str) -> None:
    words = Page(text).words
    for part in (
        "Digits 8x8: field of row 2, column 5 at σ = 0.7",
        "1,617 training images of 8 × 8 pixels",
        "W = S (S + σ² I)−1",
        "No network was trained on this dataset",
        f"Locality Lab {locality.__version__}",
        f"?{QUERY}",
        "python -m locality field digits --pixel 2,5 --sigma 0.7",
    ):
        assert part in words


def test_options_of_the_dataset_are_named() -> None:
    source = Source.parse("power_law:images=50,a=1.5")
    shown = facts.Shown(source, finish(fit_wiener(source)), None, OPTIONS, VIEW, "", None, 0.0)
    assert ", power_law:a=1.5,images=50 (50 training images" in dict(facts.facts(shown))["Dataset"]


def test_the_stated_error_between_levels_is_measured(text: str) -> None:
    stated = re.search(r"at the saved pixel within ([\d.]+) %", Page(text).words)
    assert stated is not None
    assert 0 < float(stated[1]) < 5


def test_texts_from_a_link_stay_texts(digits: tuple[Source, WienerFilter]) -> None:
    bad = 'x="><script>alert(1)</script><!--tables-->'
    page = Page(standalone.standalone(*digits, None, OPTIONS, VIEW, bad).decode())
    assert set(page.scripts) == {"start", "", *(f"predicted-{i}" for i in range(12))}
    assert bad in page.words


def test_colours_are_the_app_s_light_and_dark(text: str) -> None:
    light, dark = text.index("--st-background-color: #ffffff"), text.index("--st-background-color: #0f171d")
    assert light < text.index("@media (prefers-color-scheme: dark)") < dark


def test_the_size_is_announced(text: str, digits: tuple[Source, WienerFilter]) -> None:
    assert standalone.expected_size(digits[1]) == pytest.approx(len(text.encode()) / 1e6, rel=0.2)


@pytest.mark.parametrize(
    ("average", "output", "inputs"),
    [("mean", None, "sum"), ("mean", 1, "sum"), ("absolute", None, "abs"), ("mean", None, "rss"), ("absolute", 2, 0)],
)
def test_tables_of_any_options_are_the_fields_of_every_pixel(average: Any, output: int | None, inputs: Any) -> None:
    shape, generator = ImageShape(3, 3, 4), torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(shape.d, shape.d, generator=generator))[0]
    spread = torch.linspace(3, 0, shape.d, dtype=torch.float64)
    wiener = WienerFilter(shape, 50, torch.zeros(shape.d), spread, basis)
    chosen = dataclasses.replace(OPTIONS, average=average, output=output, inputs=inputs)
    table = fields.predicted_everywhere(wiener, 0.6, chosen)
    for row in range(3):
        for col in range(4):
            truth = fields.predicted(wiener, Pixel(row, col), 0.6, chosen)
            assert np.allclose(table[4 * row + col].numpy(), truth.ravel(), atol=1e-6)


def test_without_images_the_learned_fields_are_those_of_the_network_s_table(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("LOCALITY_DATA", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(standalone, "TABLE_SIGMAS", TABLE_SIGMAS[5:7])  # two levels are enough here
    source = Source.parse("mnist")
    wiener, trained = finish(fit_wiener(source)), find_network(source, "unet")
    page = Page(standalone.standalone(source, wiener, trained, OPTIONS, VIEW, "dataset=mnist").decode())
    head, arrays = page.table("learned")
    assert len(head["pixels"]) == 196
    assert len(arrays["codes"]) == 6 * 196 * 784
    assert "averaged over 32 held-out images" in page.words
    assert re.search(r"Standard error over draws.*: \d+ % at σ 0.086", page.words)

    absolute = dataclasses.replace(OPTIONS, average="absolute")
    page = Page(standalone.standalone(source, wiener, trained, absolute, VIEW, "dataset=mnist").decode())
    assert "learned" not in page.scripts
    assert "mean of absolute values" in page.words
    assert "they need the images" in page.words


def test_the_page_offers_it_with_its_size() -> None:
    buttons = open_page(dataset="digits").get("download_button")
    assert any("One HTML file (≈ 0.16 MB)" in button.label for button in buttons)
