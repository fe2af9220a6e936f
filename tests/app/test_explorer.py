"""The explorer without a browser: what it sends, for datasets it can show and those it cannot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from locality.datasets import Source
from locality.fields.codec import SIGMA_HIGH
from locality.linear.wiener import coordinates
from locality.studies import finish, fit_wiener
from locality.types import Pixel
from pages._ui.choice import default_dataset
from pages._ui.explorer import basis, files
from tests.app.opened import open_page
from tests.buffer import sent, unpacked

pytestmark = pytest.mark.usefixtures("bare_machine")


@pytest.fixture(autouse=True)
def own_tables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(files, "_STATIC", tmp_path / "static")


def look_at(at: AppTest, row: int, col: int, sigma: float, kind: str = "click") -> None:
    """What the component sets when a pixel is clicked, the noise moved, or the pointer rests."""
    view = {"row": row, "col": col, "pinned": [row, col], "sigma": sigma, "kind": kind, "seq": 5}
    at.session_state["explorer"] = {"view": view}
    at.run()
    assert not at.exception, at.exception


@pytest.mark.parametrize("name", ["cifar10", "mnist", "fashion_mnist", "digits"])
def test_predicted_field_is_the_row_of_the_filter(name: str) -> None:
    at = open_page(dataset=name)
    look_at(at, 3, 5, 0.7)
    head, arrays = sent(at)
    wiener = finish(fit_wiener(Source.parse(name)))
    rows = wiener.rows(coordinates(wiener.shape, Pixel(3, 5)), 0.7)
    truth = rows.sum(dim=0).reshape(wiener.shape.c, -1).sum(dim=0)
    assert np.allclose(arrays["predicted"], truth.numpy(), atol=1e-6)
    assert head["exact"] == {"pixel": [3, 5], "sigma": 0.7}


def test_without_images_the_picture_is_labelled_and_the_network_comes_from_its_table() -> None:
    head, arrays = sent(open_page(dataset="cifar10"))
    assert head["panels"][0]["title"] == "Mean image"
    assert "learned" not in arrays
    assert head["tables"]["learned"]
    assert head["tables"]["basis"]
    assert head["draws"] == 0, "there is nothing to draw from"


def test_an_image_drawn_from_the_statistics_is_labelled() -> None:
    head, _ = sent(open_page(dataset="mnist", image="Draw from the statistics"))
    assert head["panels"][0]["title"] == "A draw of N(mean, covariance)"


def test_a_dataset_without_a_network_says_how_to_train_one() -> None:
    head, _ = sent(open_page(dataset="digits"))
    assert "python -m locality train digits" in head["empty"]["learned"]


def test_a_click_is_written_to_the_reproducing_lines() -> None:
    at = open_page(dataset="digits")
    look_at(at, 2, 6, 1.25)
    assert "--pixel 2,6 --sigma 1.25" in at.code[0].value
    assert "Pixel(2, 6), 1.25" in at.code[1].value


def test_a_browser_is_never_trusted() -> None:
    at = open_page(dataset="digits")
    look_at(at, 999, -5, 1e9)
    head, _ = sent(at)
    assert head["pixel"] == [7, 0]
    assert head["sigma"] == SIGMA_HIGH


@pytest.mark.parametrize(
    ("query", "texts"),
    [
        (
            {"px": "99.1", "sigma": "nan", "scale": "cubic", "index": "-3"},
            ["rows 0–7 and columns 0–7", "is not a number", "scale “cubic”, which does not exist", "give 0–9999"],
        ),
        (
            {"dataset": "mnist", "px": "a.b", "sigma": "1e9", "network": "gpt"},
            ["is not ROW.COLUMN", "the slider runs from", "network “gpt”, which does not exist"],
        ),
    ],
)
def test_every_wrong_value_of_a_link_is_explained(query: dict[str, str], texts: list[str]) -> None:
    at = open_page(**{"dataset": "digits", **query})
    for text in texts:
        assert sum(text in warning.value for warning in at.warning) == 1, text
    sent(at)


def test_an_unknown_dataset_in_a_link_shows_the_default() -> None:
    at = open_page(dataset="nonsense")
    assert any("“nonsense”, which does not exist" in warning.value for warning in at.warning)
    assert sent(at)[0]["name"] == default_dataset()


@pytest.mark.parametrize("name", ["celeba_hq", "afhqv2"])
def test_missing_images_are_one_clear_message(name: str) -> None:
    at = open_page(dataset=name)
    assert len(at.error) == 1
    assert not at.get("bidi_component")


def test_options_reach_the_fields() -> None:
    at = open_page(dataset="digits", average="Mean size", extra="Projection")
    look_at(at, 4, 4, 0.5)
    head, arrays = sent(at)
    assert (arrays["predicted"] >= 0).all()
    assert [panel["id"] for panel in head["panels"]] == ["image", "predicted", "learned", "projection"]
    assert head["tables"] is None, "stored tables are signed: no preview with these options"


def test_files_are_written_once_and_the_oldest_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source.parse("digits")
    wiener = finish(fit_wiener(source))
    files.write_predicted(source.fingerprint, wiener)
    names = files.predicted_names(source.fingerprint)
    assert files.ready(names)
    before = [(files._STATIC / name).stat().st_mtime_ns for name in names]
    files.write_predicted(source.fingerprint, wiener)
    assert before == [(files._STATIC / name).stat().st_mtime_ns for name in names]
    size = (files._STATIC / names[0]).stat().st_size
    monkeypatch.setattr(files, "_LIMIT", 3 * size + 100)  # sizes differ by a few digits of sigma
    files._prune()
    assert len(list(files._STATIC.glob("*.bin"))) == 3


def test_large_images_are_previewed_from_leading_components(monkeypatch: pytest.MonkeyPatch) -> None:
    """No table of every pixel, but a basis cut to its budget: by the formula of basis.js nearly the exact field."""
    monkeypatch.setattr(basis, "LARGEST", 0)
    monkeypatch.setattr(basis, "_LEADING", 2 * 64 * 40)
    at = open_page(dataset="digits")
    head, _ = sent(at)
    source = Source.parse("digits")
    assert head["tables"]["predicted"] == []
    wiener = finish(fit_wiener(source))
    assert head["tables"]["basis"] == basis.leading_file(source.fingerprint, wiener)
    stored, arrays = unpacked((files._STATIC / Path(head["tables"]["basis"]).name).read_bytes())
    assert len(arrays["eigvals"]) == 40
    rows = arrays["codes"].reshape(64, 40) * arrays["scale"].astype(float)
    p, sigma = 20, 1.0
    rest = stored["rest"] / (stored["rest"] + sigma**2)
    field = rows @ (rows[p] * (arrays["eigvals"] / (arrays["eigvals"] + sigma**2) - rest))
    field[p] += rest * stored["channels"]
    truth = wiener.rows(torch.tensor([p]), sigma)[0].numpy()
    outside = wiener.eigvals[40:]
    assert stored["rest"] == pytest.approx(float(outside.mean()), rel=1e-6)
    most = float((outside / (outside + sigma**2) - rest).abs().max())  # what the discarded components can change
    assert np.abs(field - truth).max() < most + 1e-4
    assert most < 0.1 * np.abs(truth).max()


def test_a_file_that_has_left_is_made_again() -> None:
    at = open_page(dataset="digits")
    head, _ = sent(at)
    asked = [files._STATIC / Path(url).name for url in (head["strip"]["url"], head["tables"]["basis"])]
    before = [path.read_bytes() for path in asked]
    for path in asked:
        path.unlink()
    at.run()
    assert [path.read_bytes() for path in asked] == before
