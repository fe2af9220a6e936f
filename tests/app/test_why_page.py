"""The page of reasons: its numbers against plain arithmetic on the studies that come with the repository."""

from __future__ import annotations

import math
import re

import pytest
import torch
from streamlit.testing.v1 import AppTest

from locality.datasets import Source
from locality.studies import find_network, found_agreement
from locality.types import ImageShape, Pixel
from pages._ui.why.numbers import agreed, out_of_reach, reach
from tests.app import opened
from tests.app.opened import texts

pytestmark = pytest.mark.usefixtures("bare_machine")
MENU = ("08_Why_not_exactly_equal",)


def open_page(**query: str) -> AppTest:
    at = opened.open_page(**query)
    assert not at.error
    return at


def said_small(at: AppTest) -> str:
    return "\n".join(element.value for element in at.caption)


def test_the_noise_level_of_another_page_is_snapped_and_said() -> None:
    at = open_page(dataset="fashion_mnist")
    levels = [float(text) for text in at.select_slider(key="why_sigma").options]
    at.session_state["sigma_of_all_pages"] = 1.05 * levels[3]
    at.run()
    near = at.select_slider(key="why_sigma").value
    assert near == pytest.approx(levels[3], rel=0.02)
    assert f"Showing the nearest studied level: σ = {near:.3g} for {1.05 * levels[3]:.3g}." in said_small(at)
    made = found_agreement(Source.parse("fashion_mnist"), ["wiener", "resnet"])
    assert made is not None
    at.select_slider(key="why_sigma").set_value(made.sigmas[1]).run()
    assert at.session_state["sigma_of_all_pages"] == at.select_slider(key="why_sigma").value
    assert "Showing the nearest" not in said_small(at)


def test_its_numbers_are_those_of_the_study() -> None:
    at = open_page(dataset="fashion_mnist", of="resnet", sigma="0.8")
    made = found_agreement(Source.parse("fashion_mnist"), ["wiener", "resnet", "untrained:resnet"])
    assert made is not None
    level = min(range(len(made.sigmas)), key=lambda i: abs(math.log(made.sigmas[i] / 0.8)))
    r = float(made.off_centre.plain[level, 0, 1])
    endless = float(made.off_centre.value[level, 0, 1])
    said = texts(at)
    assert f"**r = {r:.2f}**" in said
    assert f"r = {r:.2f} → {endless:.2f}" in said
    untrained = f"{float(made.off_centre.plain[level, 0, 2]):.2f}".replace("-", "−")
    assert f"r = {untrained} → {r:.2f}" in said
    assert (
        "(mean of 8 seeds) to this one. It has seen 131,072 images, 2.2 passes over the training set. Another" in said
    )
    assert "sees 8 pixels each way" in said, "seventeen by seventeen"
    share = re.search(r"### ([0-9.]+)% of the prediction out of reach", said)
    assert share is not None
    assert 0 < float(share[1]) < 60
    assert [title.value[0] for title in at.header] == ["1", "2", "3", "4"]


def test_it_says_whether_the_network_saw_mirrored_images() -> None:
    assert "passes over the training set. Half of them were mirrored" in texts(
        open_page(dataset="cifar10", of="resnet")
    )


def test_what_sees_everything_has_nothing_out_of_reach() -> None:
    said = texts(open_page(dataset="fashion_mnist", of="mlp", sigma="2"))
    assert "### 0.0% of the prediction out of reach" in said
    assert "sees the whole image" in said


def test_other_images_get_the_numbers_of_a_set_that_has_some() -> None:
    at = open_page(dataset="digits")
    assert "No study of digits is stored: these are the numbers of Fashion-MNIST." in [w.value for w in at.info]
    assert "learned on **Fashion-MNIST**" in texts(at)


def test_endless_draws_and_one_image() -> None:
    """A field plus noise of variance v in each of K draws has reliabilities 1 / (1 + v / K) and 1 / (1 + v)."""
    v, k = 3.0, 16
    found = agreed(0.8, 1 / (1 + v / k), k, 0.9)
    assert found.single == pytest.approx(1 / (1 + v))
    assert found.endless == 0.9
    assert math.isnan(agreed(0.1, -0.01, k, 0.9).endless)


def test_reach_is_that_of_the_architecture() -> None:
    source = Source.parse("fashion_mnist")
    assert reach(find_network(source, "resnet").load(), 1.0) == 8
    assert reach(find_network(source, "mlp").load(), 1.0) == 28


def test_mass_out_of_reach_is_counted_by_rows_and_columns() -> None:
    shape = ImageShape(1, 5, 5)
    field = torch.ones(1, 25)
    assert out_of_reach(field, [Pixel(2, 2)], shape, 1) == pytest.approx(16 / 25)
    assert out_of_reach(field, [Pixel(0, 0)], shape, 1) == pytest.approx(21 / 25)
    assert out_of_reach(-field, [Pixel(0, 0)], shape, 4) == 0.0
