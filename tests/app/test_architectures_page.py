"""The Architectures page without a browser: its panels, its links, networks of one's own, bare machines."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest

from locality.datasets import Source
from locality.fields.codec import LEARNED_SIGMAS
from locality.schedule import nearest_level
from locality.studies import Draws, finish, fit_wiener, nearest_pixel, pixel_field, pixel_grid
from locality.types import ImageShape, Pixel
from pages._ui.architectures import export
from pages._ui.architectures.entries import entries_of
from tests.app.opened import open_page
from tests.buffer import sent
from tests.own_networks import write_network

pytestmark = pytest.mark.usefixtures("bare_machine")
MENU = ("04_Architectures", "03_Samples")
FOUR = ("cifar10", "fashion_mnist", "mnist", "faces")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A small network for faces, as anybody may have trained it."""
    return write_network(tmp_path / "my-resnet", "faces", 3, ImageShape(3, 32, 32))


@pytest.mark.parametrize("dataset", FOUR)
def test_a_bare_machine_shows_prediction_and_networks_at_once(dataset: str) -> None:
    at = open_page(dataset=dataset)
    head, arrays = sent(at)
    assert not at.error
    assert not at.warning
    assert [entry["id"] for entry in head["entries"]][:2] == ["predicted", "unet"]
    size = head["shape"][1] * head["shape"][2]
    assert all(arrays[f"field{i}"].size == size for i in range(len(head["entries"])))
    assert all(len(entry["urls"]) == len(LEARNED_SIGMAS) for entry in head["entries"] if entry["id"] == "predicted")
    assert all("url" in entry for entry in head["entries"][1:]), "every shipped network has stored fields"


def test_the_prediction_is_the_row_of_w_and_stored_fields_are_near_fresh_ones() -> None:
    head, arrays = sent(open_page(dataset="faces", px="11.21", sigma="2.3"))
    pixel, sigma = Pixel(*head["pixels"][head["place"]]), head["sigmas"][head["level"]]
    assert pixel == (11, 21)
    assert sigma == pytest.approx(2.26, abs=0.01)
    source = Source.parse("faces")
    exact, learned = (
        finish(pixel_field(source, model, pixel, sigma, Draws(32))).sum(dim=(0, 1)).flatten().numpy()
        for model in ("wiener", "unet")
    )
    np.testing.assert_allclose(arrays["field0"], exact, rtol=1e-5, atol=1e-7)
    assert np.corrcoef(arrays["field1"], learned)[0, 1] > 0.99


def test_an_own_checkpoint_joins_the_row_and_a_twin_is_another_field(own: Path) -> None:
    head, arrays = sent(open_page(dataset="faces", networks=f"unet,{own}", twins="true"))
    assert [entry["title"] for entry in head["entries"]] == ["Predicted", "UNet", "my-resnet"]
    pixel, sigma = Pixel(*head["pixels"][head["place"]]), head["sigmas"][head["level"]]
    truth = finish(pixel_field(Source.parse("faces"), str(own), pixel, sigma, Draws(16)))
    np.testing.assert_allclose(arrays["field2"], truth.sum(dim=(0, 1)).flatten().numpy(), rtol=1e-4, atol=1e-6)
    assert head["twins"]
    assert arrays["twin1"].size == 1024
    assert abs(np.corrcoef(arrays["twin1"], arrays["field1"])[0, 1]) < 0.95
    assert not np.allclose(arrays["twin2"], arrays["field2"])


def test_a_network_of_other_images_has_its_field_on_these_ones() -> None:
    """Its stored fields are averages over the images it was trained on: they are not shown here."""
    folder = str(Path(__file__).parents[2] / "cache/shipped/networks/cifar10-unet")
    head, arrays = sent(open_page(dataset="faces", networks=folder))
    assert "url" not in head["entries"][1]
    pixel, sigma = Pixel(*head["pixels"][head["place"]]), head["sigmas"][head["level"]]
    truth = finish(pixel_field(Source.parse("faces"), folder, pixel, sigma, Draws(16)))
    np.testing.assert_allclose(arrays["field1"], truth.sum(dim=(0, 1)).flatten().numpy(), rtol=1e-4, atol=1e-6)


def test_the_same_weights_are_shown_once() -> None:
    folder = Path(__file__).parents[2] / "cache/shipped/networks/faces-unet"
    at = open_page(dataset="faces", networks=f"unet,{folder}")
    assert [entry["id"] for entry in sent(at)[0]["entries"]] == ["predicted", "unet"]
    assert "shown already" in at.info[0].value


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/no/such/folder", "is not shown"),
        ("cache/shipped/networks/mnist-unet", "faces"),  # made for 28x28 grey images
    ],
)
def test_a_path_that_cannot_be_read_is_one_message_and_the_rest_stays(path: str, said: str) -> None:
    at = open_page(dataset="faces", networks=f"unet,{path}")
    assert len(at.error) == 1
    assert path in at.error[0].value
    assert said in at.error[0].value
    assert [entry["id"] for entry in sent(at)[0]["entries"]] == ["predicted", "unet"]


def test_a_set_without_networks_says_what_to_do_and_still_shows_the_prediction() -> None:
    at = open_page(dataset="digits")
    assert "Train page" in at.info[0].value
    head, arrays = sent(at)
    assert [entry["id"] for entry in head["entries"]] == ["predicted"]
    assert head["study"] is None
    assert "agreement digits" in head["no_study"]
    assert arrays["field0"].size == 64


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (
            {"measure": "love", "scope": "all", "reference": "gpt", "px": "99.1", "sigma": "nan"},
            ["measure “love”", "scope “all”", "reference “gpt”", "pixel 99, 1", "not a number"],
        ),
        ({"networks": ",".join(f"/n{i}" for i in range(12))}, ["asks for 12 networks"]),
    ],
)
def test_links_that_ask_for_what_does_not_exist_are_reported(query: dict[str, str], said: list[str]) -> None:
    at = open_page(dataset="faces", **query)
    for text in said:
        assert sum(text in warning.value for warning in at.warning) == 1, text
    assert sent(at)[0]["entries"][0]["id"] == "predicted"


def test_what_is_taken_in_place_of_what_was_asked_for_is_said() -> None:
    status = sent(open_page(dataset="faces", px="8.22", sigma="2"))[0]["status"]
    assert "row 7, column 21 for 8, 22" in status
    assert "σ = 2.26 for 2." in status
    assert "nearest stored" not in sent(open_page(dataset="faces", px="7.9", sigma="0.762"))[0]["status"]


def test_the_numbers_saved_are_the_fields_shown() -> None:
    source = Source.parse("faces")
    wiener, pixel = finish(fit_wiener(source)), Pixel(7, 9)
    at = open_page(dataset="faces", px="7.9", sigma="0.77")
    head, arrays = sent(at)
    from pages._ui.cached import networks_of

    entries = entries_of("faces", networks_of("faces"))
    saved = np.load(io.BytesIO(export.numbers(source, wiener, entries, pixel)))
    assert saved["unet"].shape == (len(LEARNED_SIGMAS), 32, 32)
    for i, entry in enumerate(head["entries"]):
        np.testing.assert_array_equal(saved[entry["id"]][head["level"]].ravel(), arrays[f"field{i}"])


def test_nearest() -> None:
    pixels = pixel_grid(ImageShape(1, 8, 8), 2)
    assert pixels[nearest_pixel(pixels, Pixel(3, 3))] == (3, 3)
    assert pixels[nearest_pixel(pixels, Pixel(0, 7))] == (1, 7)
    assert LEARNED_SIGMAS[nearest_level(LEARNED_SIGMAS, 0.0)] == LEARNED_SIGMAS[0]
    assert LEARNED_SIGMAS[nearest_level(LEARNED_SIGMAS, 1e9)] == LEARNED_SIGMAS[-1]


def test_a_noise_level_outside_a_checkpoints_schedule_is_reported_in_its_panel(tmp_path: Path) -> None:
    from diffusers import DDPMScheduler, UNet2DModel

    unet = UNet2DModel(
        sample_size=32,
        block_out_channels=(8, 8),
        down_block_types=("DownBlock2D",) * 2,
        up_block_types=("UpBlock2D",) * 2,
        norm_num_groups=4,
        layers_per_block=1,
        add_attention=False,
    )
    unet.save_pretrained(tmp_path / "made/unet")
    DDPMScheduler(beta_end=0.002).save_pretrained(tmp_path / "made/scheduler")  # ends at a small noise level
    index = {"_class_name": "DDPMPipeline", "unet": ["diffusers", "UNet2DModel"]}
    (tmp_path / "made/model_index.json").write_text(json.dumps(index))
    at = open_page(dataset="faces", networks=f"unet,{tmp_path / 'made'}", sigma="0.77")
    head, arrays = sent(at)
    assert not at.error
    assert "field2" in arrays
    at = open_page(dataset="faces", networks=f"unet,{tmp_path / 'made'}", sigma="20")
    head, arrays = sent(at)
    assert "field1" in arrays
    assert "field2" not in arrays
    assert "noise" in head["entries"][2]["refusal"] or "sigma" in head["entries"][2]["refusal"]


def test_networks_that_saw_mirrored_images_are_named(tmp_path: Path) -> None:
    """CIFAR-10's have, one of one's own has not; of the other sets all have seen the same, mirrored or not."""
    own = write_network(tmp_path / "mine", "cifar10", 3, ImageShape(3, 32, 32))
    at = open_page(dataset="cifar10", networks=f"unet,dit,{own}")
    (said,) = [caption.value for caption in at.caption if caption.value.startswith("Not all saw the same images")]
    assert "unet, dit learned from mirrored ones too" in said
    for dataset in ("cifar10", "fashion_mnist", "mnist"):
        assert not any("mirrored" in caption.value for caption in open_page(dataset=dataset).caption)
