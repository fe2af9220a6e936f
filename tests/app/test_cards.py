"""The sidebar's cards and badge, the opening view, and one noise level for all pages, without a browser."""

from __future__ import annotations

from pathlib import Path

import pytest
import streamlit as st

from locality.datasets import DATASETS, Source
from locality.store import default_store
from locality.studies import find_network
from pages._ui import cards, document
from pages._ui.choice import default_dataset
from pages._ui.explorer import files
from tests.app.opened import open_page
from tests.buffer import sent


@pytest.fixture(autouse=True)
def own_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(files, "_STATIC", tmp_path / "static")
    cards._picture.cache_clear()
    st.cache_resource.clear()


def test_the_first_visit_opens_where_most_is_to_be_seen() -> None:
    shipped = default_store().shipped_root
    assert shipped is not None
    wanted = "afhq_cats" if (shipped / "networks" / "afhq_cats-unet").is_dir() else "fashion_mnist"
    assert default_dataset() == wanted
    head, _ = sent(open_page())
    spec = Source.parse(wanted).spec
    assert head["name"] == wanted
    assert head["pixel"] == list(next(iter(spec.landmarks().values())))
    assert head["sigma"] == spec.telling_sigma
    assert head["options"]["symlog"]
    assert head["prompt"] == f"Click {spec.look}. Drag the noise."


def test_a_covariance_of_few_images_is_said_to_be_noisy() -> None:
    """4,653 images of 3,072 values; of Fashion-MNIST there are 76 for every value."""
    few, _ = sent(open_page(dataset="afhq_cats"))
    assert "4,653 images with 3,072 values each" in few["grain"]
    many, _ = sent(open_page(dataset="fashion_mnist"))
    assert many["grain"] == ""


def test_every_dataset_has_a_card_in_a_sensible_order() -> None:
    at = open_page(dataset="digits")
    (radio,) = [one for one in at.sidebar.radio if one.key == "dataset"]
    titles = [option.split(") ")[-1] for option in radio.options]
    assert titles[0] == DATASETS[default_dataset()].info.title
    assert titles[-1].endswith(DATASETS["folder"].info.title), "the reader's own come last"
    assert len(titles) == len(DATASETS)
    drawn = [option for option in radio.options if option.startswith("![](app/static/")]
    assert len(drawn) >= 8
    assert all((files._STATIC / option.split("app/static/")[1].split(")")[0]).is_file() for option in drawn)


@pytest.mark.parametrize(
    ("ratios", "words"),
    [
        ({"0.1": 0.4, "1": 0.9}, "Better than Wiener (MSE × 0.40–0.90)"),
        ({"0.1": 0.4, "1": 0.9, "5": 1.2}, "Better than Wiener up to σ = 1 (MSE × 0.40–1.20)"),
        ({"0.1": 1.1, "1": 0.9, "5": 1.2}, "Better than Wiener at 1 of 3 σ (MSE × 0.90–1.20)"),
        ({"0.1": 1.1, "1": 1.5}, "Worse than Wiener (MSE × 1.10–1.50)"),
    ],
)
def test_one_badge_tells_whether_a_network_denoises_better_than_the_filter(
    ratios: dict[str, float], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[tuple[str, str]] = []
    monkeypatch.setattr(st, "badge", lambda text, *, color, help: said.append((text, help)))
    cards.show_badge(ratios)
    ((text, about),) = said
    assert text == words
    assert all(f"{ratio:.2f} at σ = {sigma}" in about for sigma, ratio in ratios.items())


def test_the_badge_replaces_the_table() -> None:
    at = open_page(dataset="mnist")
    ratios = find_network(Source.parse("mnist"), "unet").manifest["error_ratio"]
    assert not at.sidebar.table
    assert any(f"× {min(ratios.values()):.2f}" in str(one.value) for one in at.sidebar.markdown)


def test_the_noise_level_is_that_of_all_pages() -> None:
    at = open_page(dataset="digits")
    view = {"row": 3, "col": 3, "pinned": [3, 3], "sigma": 3.3, "kind": "noise", "seq": 5}
    at.session_state["explorer"] = {"view": view}
    at.session_state["sigma_of_all_pages"] = 3.3
    at.switch_page("pages/explore/06_Edit_statistics.py").run()
    assert not at.exception, at.exception
    assert sent(at)[0]["sigma"] == 3.3


def test_the_document_says_where_the_server_is_and_keeps_the_frame_s_style() -> None:
    text = document.dressed("<html><head><title>Streamlit</title></head><body></body></html>")
    assert "BACKEND_BASE_URL" in text
    assert ".st-key-phone_menu" in text
    assert text.index("<script>") < text.index("<title>")
    assert document.dressed("nothing known") == "nothing known"
