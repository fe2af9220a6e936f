"""The Samples page without a browser: what it draws, for which datasets, from which links, and what decided a pixel."""

from __future__ import annotations

import io
import threading
from typing import Any

import numpy as np
import pytest
import streamlit as st
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest

from locality.dataset import Images
from locality.datasets import Source
from locality.studies import Expected, Sampling, finish, found_samples, nearest_training, sample, shipped_grid
from locality.types import Denoiser, Pixel
from locality.work import heartbeat
from pages._ui import timing as timings
from pages._ui.samples import evidence, export, mount
from pages._ui.samples.jobs import JOBS, Drawing, Job, Jobs
from pages._ui.samples.marks import marked, moved
from pages._ui.samples.rows import find_rows
from tests.app.opened import button, open_page, texts
from tests.buffer import sent
from tests.made_up import made_up

pytestmark = pytest.mark.usefixtures("bare_machine")
MENU = ("03_Samples",)
SHIPPED = ("cifar10", "mnist", "fashion_mnist")  # statistics and networks, but no images on a bare machine
SMALL = {"digits": {}, "faces": {}, "photos": {}, "power_law": {"power_law_images": "200"}}


@pytest.fixture(autouse=True)
def nothing_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pages._ui.samples.pace.expected_sampling", costing())


def costing(**seconds: float) -> Any:
    """A stand-in for the measurement, which takes a second a model: half a second, or so many for the models named."""

    def expected(source: Source, text: str, sampling: Sampling) -> Any:
        yield from ()
        return Expected(0.1, seconds.get(text.partition(":")[0], 0.4), 10**6)

    return expected


def generate(at: AppTest) -> AppTest:
    """Press the button unless all is kept already, wait for the thread, look again.

    It asks for the nearest training images alone where another test has kept the samples.
    """
    if not at.button(key="generate").disabled:
        at.button(key="generate").click().run()
        assert not at.exception, at.exception
    for job in list(JOBS._known.values()):
        assert job.ended.wait(100)
    at.run()
    assert not at.exception, at.exception
    return at


@pytest.mark.parametrize("name", [*SHIPPED, *SMALL])
def test_every_dataset_draws_from_one_noise(name: str) -> None:
    source = Source.parse(f"{name}:images=200" if name == "power_law" else name)
    models = ["wiener", "optimal"] if source.available else ["wiener"]
    at = open_page(dataset=name, n="2", steps="3", seed="7", model=models, **SMALL.get(name, {}))
    assert "No samples yet" in texts(at)
    assert not at.get("bidi_component")
    head, arrays = sent(generate(at))
    assert not at.error
    assert [row["text"] for row in head["rows"]] == models
    sampling = Sampling(count=2, steps=3, seed=7)
    for i, model in enumerate(models):
        truth = finish(sample(source, model, sampling))
        assert np.array_equal(arrays[f"x0_hat{i}"], mount.bytes_of(truth.x0_hat).ravel())
        scaled = truth.x / (1 + torch.tensor(truth.sigmas).square()).sqrt()[:, None, None]
        assert np.array_equal(arrays[f"x{i}"], mount.bytes_of(scaled).ravel())
        if source.available:
            rows, distances, _ = finish(nearest_training(source, truth.image))
            assert head["rows"][i]["near"][:2] == [rows.tolist(), distances.tolist()]
            assert np.array_equal(arrays[f"near{i}"], mount.bytes_of(source.train.x0(rows)).ravel())
        else:
            assert "near" not in head["rows"][i]
    assert head["images"] is source.available


@pytest.mark.parametrize("name", ["celeba_hq", "afhqv2"])
def test_missing_datasets_are_one_clear_message(name: str) -> None:
    at = open_page(dataset=name)
    (error,) = at.error
    assert f"The {name} images are not on this machine." in error.value
    assert not at.get("bidi_component")


def test_models_that_need_images_say_so_and_the_others_draw() -> None:
    at = open_page(dataset="fashion_mnist", n="1", steps="2", model=["optimal", "wiener", "unet"])
    head, arrays = sent(generate(at))
    optimal, wiener, unet = head["rows"]
    assert "images are not on this machine" in optimal["error"]
    assert optimal["state"] == "Cannot run"
    assert "x0_hat0" not in arrays
    assert wiener["done"]
    assert unet["done"]
    assert "million parameters" in unet["about"]


def test_without_images_the_usual_models_are_those_that_can_run() -> None:
    for name, usual in (("mnist", ["wiener", "unet"]), ("digits", ["optimal", "wiener", "pca_locality"])):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("pages._ui.samples.choice.grid_of", lambda source: None)
            assert open_page(dataset=name).multiselect(key="samples_models").value == usual


@pytest.mark.parametrize("name", ["digits", "mnist", "fashion_mnist"])
def test_the_page_opens_on_shipped_samples(name: str) -> None:
    """On a machine without images too; each step as the sampler gives it, within the rounding."""
    at = open_page(dataset=name)
    head, arrays = sent(at)
    made = shipped_grid(Source.parse(name))
    assert made is not None
    assert [row["text"] for row in head["rows"]] == list(made.drawn)
    assert all(row["done"] and len(row["near"][0]) == 8 for row in head["rows"])
    assert np.array_equal(arrays["x0_hat1"], mount.bytes_of(made.drawn["wiener"].x0_hat).ravel())
    assert at.button(key="generate").disabled
    assert "Samples that come with Locality Lab" in texts(at)
    levels, truth = Sampling().sigmas(), finish(sample(Source.parse(name), "wiener", Sampling()))
    x0_hat = made.drawn["wiener"].x0_hat
    step = float(truth.x0_hat.max() - truth.x0_hat.min()) / 255
    assert float((x0_hat - truth.x0_hat).abs().max()) < 0.51 * step
    off = (made.drawn["wiener"].x - truth.x).abs().amax(dim=(1, 2))
    assert all(float(error) < step for error in off)
    assert levels == made.drawn["wiener"].sigmas


def test_slow_models_run_only_if_asked_and_after_the_quick_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pages._ui.samples.pace.expected_sampling", costing(optimal=600.0, els=5.0))
    at = open_page(dataset="digits", n="1", steps="2", seed="51", model=["optimal", "els:first=20", "wiener"])
    assert "Not computed yet: wiener under 1 s, els:first=20 about 5 s; together about 6 s." in texts(at)
    assert "so only if you ask: optimal about 10 min." in texts(at)
    head, _ = sent(generate(at))
    assert [row["done"] for row in head["rows"]] == [False, True, True]
    assert head["rows"][0]["state"] == "Not generated yet: about 10 min"
    (job,) = [job for job in JOBS._known.values() if job.sampling.seed == 51]
    assert [drawing.text for drawing in job.drawings] == ["wiener", "els:first=20"]
    assert job.lane == "short"
    assert at.button(key="generate").disabled
    button(at, "With the slow model, about 10 min").click().run()
    slow = next(job for job in JOBS._known.values() if job.sampling.seed == 51 and job.lane == "long")
    assert slow.ended.wait(100)
    head, _ = sent(at.run())
    assert all(row["done"] for row in head["rows"])


def test_what_is_being_timed_does_not_hold_up_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()

    def expected(source: Source, text: str, sampling: Sampling) -> Any:
        yield from ()
        assert text == "wiener" or gate.wait(60)
        return Expected(0.1, 0.4, 10**6)

    monkeypatch.setattr("pages._ui.samples.pace.expected_sampling", expected)
    at = open_page(dataset="digits", n="1", steps="2", seed="52", model=["wiener", "optimal"])
    assert "Not computed yet: wiener under 1 s." in texts(at)
    assert "Timing optimal on this machine…" in texts(at)
    assert not at.button(key="generate").disabled
    gate.set()
    for timing in timings.known().values():
        assert timing.ended.wait(60)
    assert "wiener under 1 s, optimal under 1 s" in texts(at.run())


def test_a_short_generation_does_not_wait_behind_a_long_one() -> None:
    gate, reached = threading.Event(), threading.Event()
    with made_up("gated", gated(gate, reached)):
        line = Jobs()
        long = job_of("gated", "long", 61)
        long.lane = "long"
        line.ask(long)
        assert reached.wait(60)
        short = line.ask(job_of("wiener", "short", 62))
        assert line.before(short) == 0
        assert short.ended.wait(60)
        assert short.state == "done"
        assert not long.ended.is_set()
        gate.set()
        assert long.ended.wait(60)


def test_a_pixel_is_decided_where_it_stops_moving() -> None:
    moving = torch.tensor([0.0, 0.5, 0.95, 1.0, 0.95, 1.0])[:, None]
    assert evidence.deciding_step(moving) == 2
    assert evidence.deciding_step(torch.zeros(5, 3)) == 0
    assert evidence.deciding_step(torch.tensor([[0.0], [0.0], [1.0]])) == 2
    channels = torch.stack([moving[:, 0], torch.tensor([0.0, 0.0, 0.0, 0.0, 0.0, 1.0])], dim=1)
    assert evidence.deciding_step(channels) == 5


def test_a_link_restores_everything_and_shows_kept_images_without_computing(monkeypatch: pytest.MonkeyPatch) -> None:
    query = {"dataset": "digits", "n": "3", "steps": "4", "seed": "11", "grid": "log", "clip": "false"}
    first = generate(open_page(**query, model=["optimal:temperature=2.5,classes=0-1", "wiener"]))
    before = sent(first)

    def never(*_: Any) -> Any:
        raise AssertionError("computed again")

    monkeypatch.setattr(JOBS, "_known", {})
    monkeypatch.setattr(JOBS, "ask", never)
    st.cache_resource.clear()
    link = {name: first.query_params[name] for name in first.query_params}
    assert link["model"] == ["optimal:classes=0-1,temperature=2.5", "wiener"]
    assert link["n"] == "3"
    assert link["clip"] == "false"
    again = open_page(**link)
    after = sent(again)
    assert after[0] == before[0]
    assert all(np.array_equal(after[1][name], before[1][name]) for name in before[1])
    assert again.button(key="generate").disabled
    assert not again.warning
    assert not again.error


def test_kept_images_without_their_search_offer_it() -> None:
    sampling = Sampling(count=2, steps=2, seed=21)
    finish(sample(Source.parse("digits"), "wiener", sampling))
    at = open_page(dataset="digits", n="2", steps="2", seed="21", model=["wiener"])
    assert "near" not in sent(at)[0]["rows"][0]
    button(at, "Find nearest training images").click().run()
    for job in list(JOBS._known.values()):
        assert job.ended.wait(60)
    assert len(sent(at.run())[0]["rows"][0]["near"][0]) == 2


def test_an_option_changes_the_model_and_the_link() -> None:
    at = open_page(dataset="digits", n="1", steps="2", model=["optimal"])
    at.number_input(key="samples_optimal_temperature").set_value(4.0).run()
    at.text_input(key="samples_optimal_classes").set_value("3-5").run()
    assert at.query_params["model"] == "optimal:classes=3-5,temperature=4"
    at.number_input(key="sampling_steps").set_value(3).run()
    assert at.query_params["steps"] == "3"
    (row,) = sent(generate(at))[0]["rows"]
    assert row["text"] == "optimal:classes=3-5,temperature=4"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"model": ["optimum"]}, "Unknown model 'optimum'. Did you mean 'optimal'?"),
        ({"model": ["optimal:tau=1"]}, "optimal has no option 'tau'"),
        ({"model": ["optimal:temperature=-1"]}, "temperature=-1.0 is outside"),
        ({"model": ["optimal:temperature=warm"]}, "is not a number"),
        ({"model": ["optimal:classes=a"]}, "whole numbers joined by '-'"),
        ({"model": ["optimal:temperature"]}, "has no value"),
        ({"n": "0"}, "n=0. Sampling:count=0 is outside [1, 4096]. Showing 8."),
        ({"n": "65"}, "At most 64 images"),
        ({"steps": "1"}, "steps=1. Sampling:steps=1 is outside [2, 1000]. Showing 10."),
        ({"steps": "many"}, "is not a whole number"),
        ({"seed": "-1"}, "outside"),
        ({"grid": "cubic"}, "Choose one of: ddpm, edm, log."),
        ({"eta": "2"}, "outside [0, 1]"),
        ({"clip": "maybe"}, "is not true or false"),
        ({"eta": "0.5", "sampler": "heun"}, "heun adds no noise"),
    ],
)
def test_bad_links_are_one_clear_message(query: dict[str, Any], said: str) -> None:
    at = open_page(**{"dataset": "digits", "model": ["wiener"], **query})
    (error,) = at.error
    assert said in error.value
    assert at.multiselect(key="samples_models").value
    assert 1 <= at.number_input(key="sampling_count").value <= 64
    if "sampler" not in query:
        assert not button(at, "Generate").proto.disabled or at.get("bidi_component")


def test_more_than_a_page_can_hold_is_refused() -> None:
    at = open_page(dataset="faces", n="64", steps="1000", model=["wiener"])
    (error,) = at.error
    assert "the page holds 200 MB" in error.value


def test_no_model_is_an_invitation() -> None:
    at = open_page(dataset="digits")
    at.multiselect(key="samples_models").set_value([]).run()
    assert "Choose at least one model" in texts(at)


def pick(at: AppTest, model: str, sample: Any, row: Any, col: Any, step: Any) -> None:
    """What the grid sets when a pixel is clicked."""
    value = {"model": model, "sample": sample, "row": row, "col": col, "step": step, "seq": 3}
    at.session_state[mount.COMPONENT.key] = {"pick": value}
    at.run()
    assert not at.exception, at.exception


def test_a_clicked_pixel_shows_the_training_images_that_decided_it() -> None:
    at = generate(
        open_page(dataset="digits", n="2", steps="4", seed="5", model=["optimal", "els:first=20,window=3", "wiener"])
    )
    assert "Click a pixel" in texts(at)
    source, sampling = Source.parse("digits"), Sampling(count=2, steps=4, seed=5)
    pick(at, "optimal", 1, 3, 5, 3)
    assert at.query_params["pick"] == "0.1.3.5.3"
    assert "a single training image decides this pixel" in texts(at)
    found = found_samples(source, "optimal", sampling)
    assert found is not None
    number = int(finish(nearest_training(source, found.image))[0][1])
    tiles = next(one.proto.body for one in at.get("html") if "Training image" in one.proto.body)
    assert f'alt="Training image {number}, weight 100 %"' in tiles
    assert tiles.count("<img") == evidence._TOP

    pick(at, "optimal", 1, 0, 0, 3)  # a corner, which is black in every image
    assert "**Decided at step 1** (σ = 17.4)" in texts(at)
    assert "step 1 of 4, noise level σ = 17.4" in texts(at)
    assert "The finished image as a whole is a copy of training image no. " in texts(at)
    assert at.query_params["pick"] == "0.1.0.0.3"
    at.segmented_control(key="evidence_at").set_value(3).run()
    assert "step 4 of 4, noise level" in texts(at)
    assert "here it has 100 % of the weight" in texts(at)

    pick(at, "els:first=20,window=3", 0, 0, 0, 0)
    assert "where in the training image the patch used here was found" in texts(at)
    pick(at, "wiener", 0, 2, 2, 1)
    assert at.query_params["pick"] == "2.0.2.2.1"
    assert "Half of the field" in texts(at)
    field = evidence._explain.__wrapped__  # the numbers behind the picture
    rows = find_rows(source, ("wiener",), sampling)
    assert rows[0].x is not None
    asked = evidence.Pick("wiener", 0, Pixel(2, 2), 1)
    found_field = field(rows[0].key, asked, rows[0].model_key, source, "wiener", rows[0].x[1, 0], sampling.sigmas()[1])
    denoiser = evidence._denoiser(rows[0].model_key, source, "wiener")
    x = rows[0].x[1, :1]
    moved_x = x.clone()
    moved_x[0, 20] += 1.0
    change = (denoiser(moved_x, sampling.sigmas()[1]) - denoiser(x, sampling.sigmas()[1]))[0, 18]  # row 2, column 2
    assert float(found_field.flatten()[20]) == pytest.approx(float(change), abs=1e-4)


@pytest.mark.parametrize(
    "value", [("optimal", 9, 0, 0, 0), ("gpt", 0, 0, 0, 0), ("wiener", 0, 99, 0, 0), ("wiener", 0, "1", 0, 0)]
)
def test_a_browser_is_never_trusted(value: tuple[Any, ...]) -> None:
    at = generate(open_page(dataset="digits", n="1", steps="2", model=["wiener"]))
    pick(at, *value)
    assert "Click a pixel" in texts(at)
    assert "pick" not in at.query_params


@pytest.mark.parametrize("asked", ["0.0.3", "a.b.c.d.e", "7.0.0.0.0", "0.0.99.0.0", "-1.0.0.0.0"])
def test_a_wrong_pixel_in_a_link_is_explained(asked: str) -> None:
    finish(sample(Source.parse("digits"), "wiener", Sampling(count=1, steps=2)))
    at = open_page(dataset="digits", n="1", steps="2", model=["wiener"], pick=asked)
    (warning,) = at.warning
    assert "is not MODEL.IMAGE.ROW.COLUMN.STEP" in warning.value


def gated(gate: threading.Event, reached: threading.Event) -> Any:
    """A model that waits inside its second call, beating all the while."""
    calls = iter(range(1000))

    def fit(images: Images, reference: Denoiser | None) -> Any:
        def call(x: torch.Tensor, sigma: float) -> torch.Tensor:
            if next(calls) == 1:
                reached.set()
                while not gate.wait(0.01):
                    heartbeat(0.5)
            return x * 0

        return call

    return fit


def test_cancel_works_inside_a_step_and_keeps_what_is_finished() -> None:
    gate, reached = threading.Event(), threading.Event()
    with made_up("gated", gated(gate, reached)):
        at = open_page(dataset="digits", n="1", steps="3", seed="31", model=["wiener", "gated", "optimal"])
        button(at, "Generate").click().run()
        assert reached.wait(60)
        at.run()
        (job,) = [job for job in JOBS._known.values() if not job.ended.is_set()]
        head, arrays = sent(at)
        assert [row["state"] for row in head["rows"]] == ["", "Step 1 of 3", "Waiting"]
        assert len(arrays["x0_hat1"]) == 64
        assert not any(button.label == "Generate" for button in at.button)
        button(at, "Cancel").click().run()
        assert job.ended.wait(60)
        at.run()
        head, arrays = sent(at)
        assert [row["state"] for row in head["rows"]] == ["", "Cancelled after step 1 of 3", "Cancelled"]
        assert len(arrays["x0_hat0"]) == 3 * 64
        assert len(arrays["x0_hat1"]) == 64
        assert "Cancelled. What was finished is kept." in texts(at)
        gate.set()
        head, _ = sent(generate(at))
        assert all(row["done"] for row in head["rows"])


def job_of(text: str, key: str, seed: int) -> Job:
    return Job(key, Source.parse("digits"), Sampling(count=1, steps=2, seed=seed), [Drawing(text, key)])


def test_generations_are_served_one_at_a_time_and_shared_by_key() -> None:
    gate, reached = threading.Event(), threading.Event()
    with made_up("gated", gated(gate, reached)):
        line = Jobs()
        first = line.ask(job_of("gated", "a", 1))
        assert reached.wait(60)
        second = line.ask(job_of("wiener", "b", 2))
        assert line.ask(job_of("wiener", "b", 2)) is second
        assert line.before(second) == 1
        assert second.state == "waiting"
        gate.set()
        assert second.ended.wait(60)
        assert first.ended.is_set()
        assert (first.state, second.state) == ("done", "done")
        assert line.before(second) == 0


def test_a_generation_nobody_watches_makes_way_for_others() -> None:
    gate, reached = threading.Event(), threading.Event()
    with made_up("gated", gated(gate, reached)):
        line = Jobs()
        first = line.ask(job_of("gated", "c", 3))
        assert reached.wait(60)
        first.watched -= 1000
        second = line.ask(job_of("wiener", "d", 4))
        assert second.ended.wait(60)
        assert first.state == "cancelled"
        assert second.state == "done"


def test_long_trajectories_are_thinned_for_the_browser() -> None:
    assert mount.shown_steps(3, Sampling(count=8, steps=10), 3072) == list(range(10))
    steps = mount.shown_steps(4, Sampling(count=64, steps=500), 3072)
    assert steps[0] == 0
    assert steps[-1] == 499
    assert 2 * 4 * 64 * 3072 * len(steps) <= mount._BUDGET


def test_downloads_hold_what_is_shown() -> None:
    source, sampling = Source.parse("digits"), Sampling(count=3, steps=2, seed=41)
    truth = [finish(sample(source, model, sampling)) for model in ("wiener", "optimal")]
    rows = find_rows(source, ("wiener", "optimal"), sampling)
    saved = np.load(io.BytesIO(export.numbers(source, sampling, rows)))
    assert saved["x0_hat"].shape == saved["x"].shape == (2, 2, 3, 1, 8, 8)
    assert np.array_equal(saved["x0_hat"][1].reshape(2, 3, 64), truth[1].x0_hat.numpy())
    assert saved["sigmas"].tolist() == sampling.sigmas()
    assert saved["models"].tolist() == ["wiener", "optimal"]
    sheet = np.asarray(Image.open(io.BytesIO(export.sheet(source, sampling, rows))))
    assert int((sheet[:, : export.LEFT] < 128).sum()) > 100  # names of the models
    sheet, scale, gap = sheet[export.TOP :, export.LEFT :], 16, 4
    corner = sheet[gap + scale // 2 :: scale][:8, gap + scale // 2 :: scale][:, :8, 0]
    assert np.array_equal(corner.ravel(), mount.bytes_of(truth[0].image[0]))


def test_marks_light_the_window_and_frame_the_pixel() -> None:
    window = torch.zeros(6, 6)
    window[0:2, 0:3] = 1.0
    picture = marked(np.full((6, 6, 3), 200, np.uint8), Pixel(1, 1), window, side=120)
    assert picture.shape == (120, 120, 3)
    assert picture[10, 10].tolist() == [200] * 3
    assert picture[110, 110].tolist() == [60] * 3
    assert picture[20, 30].tolist() == [255, 212, 0]
    assert moved(window, Pixel(0, 1), Pixel(5, 1)).nonzero().tolist() == [
        [0, 0],
        [0, 1],
        [0, 2],
        [5, 0],
        [5, 1],
        [5, 2],
    ]


def test_words_for_shares_and_times() -> None:
    assert [evidence.percent(share) for share in (1.0, 0.5, 0.034, 1e-7)] == ["100 %", "50 %", "3.4 %", "< 0.001 %"]
    assert [timings.spoken(seconds) for seconds in (12.3, 600, 7200)] == ["12 s", "10 min", "2.0 h"]


def test_the_menu_has_the_page_with_an_icon_of_its_own() -> None:
    from pages._ui.frame import _ICONS

    assert "Samples" in _ICONS
