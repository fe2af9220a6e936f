"""The Data page: every dataset it can show, those it cannot, its numbers, and links that ask for nonsense."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from locality.datasets import DATASETS, Source
from locality.fields.codec import SIGMA_HIGH, SIGMA_LOW
from locality.studies import finish, fit_wiener
from pages._ui.data import summary
from pages._ui.data.export import numbers, reproduce
from pages._ui.npz import npz
from tests.app.opened import button, open_page, texts

pytestmark = pytest.mark.usefixtures("bare_machine")
MENU = ("02_Data",)
SHIPPED = ("cifar10", "mnist", "fashion_mnist")
SMALL = {"digits": {}, "power_law": {"power_law_images": "200"}}  # quick to decompose


def pictures(at: AppTest) -> list[str]:
    """Bodies of the picture grids: samples, averages, eigenimages."""
    return [body for element in at.get("html") if "<img" in (body := element.proto.body)]


def charts(at: AppTest) -> list[str]:
    return [element.proto.alt for element in at.get("plotly_chart")]


@pytest.mark.parametrize("name", [*SHIPPED, *SMALL])
def test_page_shows_images_statistics_and_figures(name: str) -> None:
    at = open_page(dataset=name, **SMALL.get(name, {}))
    assert not at.error
    assert not at.warning
    samples, averages, eigenimages = pictures(at)
    assert samples.count("<img") == 48
    assert 'alt="Mean image"' in averages
    assert 'alt="Standard deviation"' in averages
    assert eigenimages.count('alt="Eigenimage ') == 24
    assert len(charts(at)) == 4
    assert all(charts(at))
    assert DATASETS[name].info.title in texts(at)


@pytest.mark.parametrize("name", SHIPPED)
def test_draws_are_labelled_where_the_images_are_absent(name: str) -> None:
    at = open_page(dataset=name)
    assert "Draw 1 of N(mean, covariance)" in pictures(at)[0]
    assert "Training image" not in pictures(at)[0]
    assert "not on this machine" in texts(at)


@pytest.mark.parametrize("name", ["celeba_hq", "afhqv2"])
def test_missing_datasets_are_one_clear_message(name: str) -> None:
    at = open_page(dataset=name)
    (error,) = at.error
    assert f"The {name} images are not on this machine." in error.value
    assert pictures(at) == []
    assert charts(at) == []


def test_where_no_images_are_chosen_there_is_no_error_but_a_way_in() -> None:
    at = open_page(dataset="folder")
    assert not at.error
    assert any("No images are chosen yet" in info.value for info in at.info)
    assert pictures(at) == []


def test_a_wrong_dataset_option_is_one_clear_message(tmp_path: Path) -> None:
    at = open_page(dataset="folder", folder_path=str(tmp_path / "nowhere"))
    assert len(at.error) == 1
    assert "nowhere" in at.error[0].value


def test_tiny_images_that_hardly_differ_still_make_a_page(tmp_path: Path) -> None:
    for i in range(30):
        Image.new("RGB", (8, 8), (90 + i % 2,) * 3).save(tmp_path / f"{i}.png")
    at = open_page(dataset="folder", folder_path=str(tmp_path), folder_resolution="4")
    assert not at.error
    assert len(charts(at)) == 4
    assert "these images are too small" in texts(at)


def test_what_is_not_read_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    for i in range(12):
        Image.new("RGB", (8, 8), (20 * i,) * 3).save(folder / f"{i}.png")
    (folder / "![x](y).heic").write_bytes(b"")
    at = open_page(dataset="folder", folder_path=str(folder), folder_resolution="4")
    (note,) = [text.value.replace("\\", "") for text in at.caption if "not read" in text.value]
    assert "1 file not read: 1 .heic (![x](y).heic). HEIC is not read: convert it" in note
    assert "![x]" not in texts(at)  # no picture from elsewhere


def test_reading_for_the_first_time_shows_how_far_it_is() -> None:
    def half_read() -> None:
        import streamlit as st

        from locality.work import heartbeat
        from pages._ui.data import reading

        with reading():
            heartbeat(0.5)
            if not st.session_state.get("whole"):
                st.stop()

    at = AppTest.from_function(half_read).run()
    assert not at.exception, at.exception
    (bar,) = at.get("progress")
    assert (bar.proto.value, bar.proto.text) == (50, "Reading the images, once: 50%")
    at.session_state["whole"] = True
    assert not at.run().get("progress")


def test_noise_slider_counts_the_components_above_it() -> None:
    at = open_page(dataset="digits", sigma="0.5")
    eigvals = finish(fit_wiener(Source.parse("digits"))).eigvals.numpy()
    for sigma in (0.5, 1.0):
        at.select_slider(key="data_sigma").set_value(sigma).run()
        above = eigvals > sigma**2
        share = 100 * eigvals[above].sum() / eigvals.sum()
        assert f"**{above.sum()} of 64** components above the noise, holding **{share:.1f} %**" in texts(at)
        assert pictures(at)[2].count('class="faded"') == 24 - above[:24].sum()
        assert charts(at)[0].endswith(f"{above.sum()} lie above sigma squared = {sigma**2:.4g}")
    assert at.query_params["sigma"] == "1"


def test_noise_of_a_link_stays_exact_between_the_marks() -> None:
    at = open_page(dataset="digits", sigma="0.7071")
    assert at.select_slider(key="data_sigma").value == 0.7071
    assert at.query_params["sigma"] == "0.7071"
    assert not at.warning


def test_the_noise_level_is_that_of_the_other_pages() -> None:
    at = open_page(dataset="digits")
    at.session_state["sigma_of_all_pages"] = 2.0  # as another page would
    assert at.run().select_slider(key="data_sigma").value == 2.0
    assert at.query_params["sigma"] == "2"
    at.select_slider(key="data_sigma").set_value(1.0).run()
    assert at.session_state["sigma_of_all_pages"] == 1.0
    assert at.run().select_slider(key="data_sigma").value == 1.0


def test_another_draw_shows_other_images_and_is_in_the_address() -> None:
    at = open_page(dataset="digits", seed="3", count="24")
    first = pictures(at)[0]
    assert first.count("<img") == 24
    button(at, "Another draw").click().run()
    assert at.number_input(key="data_seed").value == 4
    assert at.query_params["seed"] == "4"
    assert pictures(at)[0] != first
    at.number_input(key="data_seed").set_value(3).run()
    assert pictures(at)[0] == first


def test_fitted_range_changes_the_exponent_and_may_be_too_short() -> None:
    at = open_page(dataset="power_law", power_law_images="2000")
    shown = re.search(r"falls as \$1/k\^a\$ with \*\*a = ([\d.]+) ± ([\d.]+)\*\*", texts(at))
    assert shown is not None
    assert float(shown[1]) == pytest.approx(2, abs=0.01)
    assert 0 < float(shown[2]) < 0.01
    at.slider(key="fit_16").set_value((4, 5)).run()
    assert not at.exception
    assert "at least three frequencies" in texts(at)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (
            {"sigma": "nan", "seed": "abc", "count": "1000000"},
            [
                "noise level “nan” is not a number",
                "asks for seed “abc”; it can be a whole number from 0 to 9999",
                "asks for count “1000000”; it can be a whole number from 12 to 96 in steps of 12",
            ],
        ),
        (
            {"sigma": "much", "seed": "-1", "count": "13"},
            ["noise level “much” is not a number", "asks for seed “-1”", "asks for count “13”"],
        ),
        ({"sigma": "inf", "seed": "1e3"}, ["noise level “inf” is not a number", "asks for seed “1e3”"]),
        ({"sigma": "-1"}, ["asks for σ = -1; it can be 0.05 to 20"]),
        ({"sigma": "1e9"}, ["asks for σ = 1e+09; it can be 0.05 to 20"]),
    ],
)
def test_bad_values_of_a_link_are_said_and_replaced(query: dict[str, str], said: list[str]) -> None:
    at = open_page(dataset="digits", **query)
    assert not at.error
    assert len(at.warning) == len(said)
    for text in said:
        assert any(text in warning.value for warning in at.warning), text
    assert SIGMA_LOW <= at.select_slider(key="data_sigma").value <= SIGMA_HIGH
    assert at.number_input(key="data_seed").value == 0
    assert pictures(at)[0].count("<img") == 48
    assert not at.run().warning  # said once


def test_downloaded_numbers_are_those_the_shown_code_makes(tmp_path: Path) -> None:
    source = Source.parse("digits")
    wiener = finish(fit_wiener(source))
    saved = np.load(io.BytesIO(npz(**numbers(wiener, summary(source.fingerprint, wiener)))))
    code = next(element.value for element in open_page(dataset="digits").get("code"))
    assert code == reproduce("digits", "digits-statistics.npz").rstrip("\n")
    here = Path.cwd()
    os.chdir(tmp_path)
    try:
        scope: dict[str, Any] = {"print": lambda *_: None}
        exec(code, scope)
    finally:
        os.chdir(here)
    made = np.load(tmp_path / "digits-statistics.npz")
    assert sorted(made.files) == sorted(saved.files)
    for name in saved.files:
        np.testing.assert_allclose(made[name], saved[name], rtol=1e-12, err_msg=name)
    assert saved["eigenvalues"].shape == (64,)
    assert saved["correlation"].shape == (15, 15)
