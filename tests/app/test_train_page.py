"""The Train page without a browser: what it asks, the command it makes, the line of trainings, what became of them."""

from __future__ import annotations

import json
import shlex
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from locality.errors import BadInput, UnknownName
from locality.fields.codec import decode_rows
from locality.networks import MANIFEST, NETWORKS, STATE, TrainSpec
from locality.store import Store
from locality.studies import Recording, read_log, read_preview
from locality.types import ImageShape, Pixel
from pages._ui import timing as timings
from pages._ui.train import plan as plans_module
from pages._ui.train import runs
from pages._ui.train.form import _rounded
from pages._ui.train.moments import held_out_ratios
from pages._ui.train.plan import PLAN, Plan, free_name, load_plan, plans
from pages._ui.train.runs import OUTCOME, RUNS, Run, Runs, state_of
from pages._ui.train.view import smoothed
from tests.app import opened
from tests.app.opened import button, texts
from tests.buffer import sent

pytestmark = pytest.mark.timeout(300)  # seconds on an idle machine; others may be at work
MENU = ("05_Train",)
TINY = "resnet:channels=8"  # without the slow imports of the U-Net
QUICK = {"batch": "8", "bfloat16": "false", "warmup": "8"}


@pytest.fixture(autouse=True)
def own_networks(bare_machine: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A cache of its own on a bare machine, and a pace that is not measured."""
    store = Store(tmp_path / "cache", None)
    for module in (plans_module, runs):
        monkeypatch.setattr(module, "default_store", lambda: store)
    monkeypatch.setattr("locality.studies.trained.default_store", lambda: store)
    monkeypatch.setattr(runs, "_NICE", 0)  # the test waits for it
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # networks this small are slower on two threads than on one
    monkeypatch.setattr("pages._ui.train.pace.training_speed", lambda *_: 1000.0)
    monkeypatch.setattr("pages._ui.train.board.shipped_recordings", list)
    yield tmp_path / "cache" / "networks"
    for run in RUNS.active():
        RUNS.cancel(run.plan)
        assert run.ended.wait(60)


def open_page(**query: Any) -> AppTest:
    return opened.open_page(**{"dataset": "digits", **query})


def labels(at: AppTest) -> list[str]:
    return [button.label for button in at.button]


def tiny(name: str = "mine", **options: Any) -> Plan:
    return Plan(name, "digits", TINY, QUICK, **({"images": 64} | options))


def ended(run: Run) -> Run:
    assert run.ended.wait(200)
    return run


def until(said: Any) -> None:
    """Wait for what another process does."""
    deadline = time.monotonic() + 200
    while not said():
        assert time.monotonic() < deadline
        time.sleep(0.05)


# --- what is asked


@pytest.mark.parametrize("name", list(NETWORKS))
def test_every_network_can_be_asked_for(name: str) -> None:
    at = open_page()
    at.selectbox(key="train_network").set_value(name).run()
    assert not at.exception, at.exception
    assert not at.error
    assert f"python -m locality train digits --network {name} --minutes 20 --out" in at.code[0].value
    assert not button(at, "Start").disabled
    assert "About **1.2 million images** at 1,000 per second, each training image 742.1 times." in texts(at)


def test_the_empty_page_says_what_to_do() -> None:
    at = open_page()
    assert "Nothing has been trained here yet" in texts(at)
    assert "press Start" in texts(at)


def test_the_page_opens_on_a_recording_and_says_of_what(monkeypatch: pytest.MonkeyPatch) -> None:
    made = recording()
    monkeypatch.setattr("pages._ui.train.board.shipped_recordings", lambda: [made])
    at = open_page()
    assert "A recorded training: resnet on Digits" in texts(at)
    assert "Nothing has been trained here yet" not in texts(at)
    head, arrays = sent(at)
    assert head["images"] == [0, 64]
    assert head["errors"] == [[2.5, 1.5], [1.25, 0.75]]
    assert arrays["learned"].size == 2 * 1 * 2 * 64
    assert np.array_equal(arrays["samples"], made.samples.flatten())


def recording() -> Recording:
    """A small one that was never trained."""
    g = torch.Generator().manual_seed(3)
    return Recording(
        name="resnet",
        dataset="digits",
        network="resnet:channels=8",
        shape=ImageShape(1, 8, 8),
        images=(0, 64),
        minutes=(0.0, 0.1),
        sigmas=(1.0,),
        pixels=(Pixel(4, 4), Pixel(2, 4)),
        draws=2,
        predicted=torch.randn(1, 2, 8, 8, generator=g),
        learned=torch.randn(2, 1, 2, 8, 8, generator=g),
        error_sigmas=(0.5, 1.0),
        held_out=10,
        errors=torch.tensor([[2.5, 1.5], [1.25, 0.75]]),
        error_stderr=torch.full((2, 2), 0.1),
        samples=torch.randint(256, (2, 3, 64), generator=g).to(torch.uint8),
    )


def test_without_images_the_page_says_so() -> None:
    at = open_page(dataset="fashion_mnist")
    assert "Training needs the images, and those of Fashion-MNIST are not on this machine" in texts(at)
    assert "python -m locality download fashion_mnist" in texts(at)
    assert "Start" not in labels(at)


def test_the_command_says_what_the_controls_say() -> None:
    at = open_page()
    at.selectbox(key="train_network").set_value("resnet").run()
    at.segmented_control(key="train_resnet_preset").set_value("paper").run()
    at.segmented_control(key="train_unit").set_value("images").run()
    at.number_input(key="train_images").set_value(5000).run()
    at.number_input(key="training_ambient").set_value(0.4).run()
    at.toggle(key="training_flips").set_value(True).run()
    at.number_input(key="training_rate").set_value(0.002).run()
    at.number_input(key="train_first_digits").set_value(100).run()
    at.text_input(key="train_name").set_value("small-one").run()
    words = shlex.split(at.code[0].value)
    assert words[:8] == ["python", "-m", "locality", "train", "digits", "--network", "resnet:preset=paper", "--images"]
    assert words[8] == "5000"
    assert words[10].endswith("networks/digits-small-one")
    assert words[11:13] == ["--first", "100"]
    assert {"--flips", "--ambient", "0.4", "--option", "rate=0.002"} <= set(words[13:])
    assert "About **5 s** at 1,000 images per second, each training image 50.0 times." in texts(at)


def test_an_architecture_that_does_not_fit_is_one_message() -> None:
    at = open_page()
    at.text_input(key="train_unet_small_channels").set_value("16-16-16-16-16").run()
    (error,) = at.error
    assert "5 levels need sides divisible by 16, got 8x8" in error.value
    assert "Start" not in labels(at)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"name": "a/b"}, "is no folder's name"),
        ({"name": ""}, "is no folder's name"),
        ({"name": "wiener"}, "is taken"),
        ({"options": {"rate": "-1"}}, "rate=-1.0 is outside"),
        ({"images": None}, "Give the length of the training"),
    ],
    ids=str,
)
def test_what_cannot_be_started_is_refused(changed: dict[str, Any], said: str, own_networks: Path) -> None:
    plan = Plan(**({"name": "mine", "dataset": "digits", "network": TINY, "images": 8} | changed))
    with pytest.raises(BadInput, match=said):
        RUNS.start(plan)
    assert not own_networks.exists()
    with pytest.raises(UnknownName):
        RUNS.start(Plan("mine", "digits", "unett", images=8))


def test_names_are_free_or_get_a_number() -> None:
    assert free_name("digits", "unet") == "unet"
    tiny("unet").save()
    assert free_name("digits", "unet") == "unet-2"
    with pytest.raises(BadInput, match="is taken"):
        tiny("unet").check()


def test_plans_round_trip_and_damaged_ones_are_left_out(own_networks: Path) -> None:
    plan = tiny(first=20)
    plan.save()
    assert load_plan(plan.folder) == plan
    assert plans() == [plan]
    for text in ("{", "[]", json.dumps({"name": "mine"}), json.dumps({**vars(plan), "network": "gpt"})):
        (plan.folder / PLAN).write_text(text)
        assert plans() == []


def test_the_command_gives_back_the_same_training() -> None:
    plan = Plan("x", "digits", TINY, {"flips": "true", "ambient": "0.3", "ema": "0.1"}, minutes=1.5)
    words = plan.words()
    assert words[words.index("--minutes") + 1] == "1.5"
    assert plan.train() == TrainSpec(flips=True, ambient=0.3, ema=0.1)
    assert "--resume" not in plan.command()
    assert plan.words(resume=True)[-1] == "--resume"


def test_the_pace_is_measured_beside_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    gate, calls = threading.Event(), []

    def slow(*asked: object) -> float:
        calls.append(asked)
        assert gate.wait(60)
        return 500.0

    monkeypatch.setattr("pages._ui.train.pace.training_speed", slow)
    at = open_page()
    assert "Timing a few steps…" in texts(at)
    assert not button(at, "Start").disabled
    gate.set()
    until(lambda: all(timing.ended.is_set() for timing in timings.known().values()))
    assert "About **600,000 images** at 500 per second" in texts(at.run())
    assert len(calls) == 1


# --- processes


def test_a_training_runs_is_shown_and_can_be_used(own_networks: Path) -> None:
    run = ended(RUNS.start(tiny()))
    assert (run.state, run.message) == ("done", "")
    assert (own_networks / "digits-mine" / MANIFEST).exists()
    at = open_page()
    assert "Ready on every page" not in texts(at)  # 64 images teach nothing
    (warning,) = at.warning
    assert "**mine** is **worse than the Wiener filter** at" in warning.value
    assert "64 images seen" in warning.value
    assert [badge for badge in at.markdown if "Finished, worse than Wiener" in badge.value]  # at every level
    assert "python -m locality memorisation digits --model mine" in texts(at)
    assert at.selectbox(key="network").value == "mine"
    assert not at.error
    head, arrays = sent(at)
    preview = read_preview(own_networks / "digits-mine")
    assert preview is not None
    assert head["images"] == [frame.images for frame in preview.frames]
    assert head["images"][-1] == 64
    assert np.array_equal(arrays["samples"], torch.stack([frame.samples for frame in preview.frames]).flatten())
    shown = decode_rows(torch.tensor(arrays["predicted"])[None], torch.tensor(arrays["predictedScale"]))
    assert torch.allclose(shown.reshape(8, 8), preview.predicted, atol=0.008 * float(preview.predicted.abs().max()))
    manifest = json.loads((own_networks / "digits-mine" / MANIFEST).read_text())
    assert manifest["command"].endswith(tuple(f"--option {k}={v}" for k, v in QUICK.items()))


def test_pause_keeps_the_work_and_resume_goes_on(own_networks: Path) -> None:
    plan = tiny(images=10**8)
    run = RUNS.start(plan)
    until(lambda: read_log(plan.folder))
    at = open_page()
    assert "Pause" in labels(at)
    button(at, "Pause").click().run()
    assert ended(run).state == "paused"
    assert state_of(plan) == ("paused", "")
    assert (plan.folder / STATE).exists()
    seen = read_log(plan.folder)[-1]["images"]

    RUNS._known.clear()  # as after a restart of the server: only the disk knows
    at = open_page()
    assert "Resume" in labels(at)
    button(at, "Resume").click().run()
    again = RUNS.find(plan.key)
    assert again is not None
    until(lambda: read_log(plan.folder)[-1]["images"] > seen)
    RUNS.cancel(plan)
    assert ended(again).state == "cancelled"
    assert not plan.folder.exists()


def test_a_failure_is_one_clear_message() -> None:
    plan = Plan("mine", "digits", TINY, {**QUICK, "rate": "1.0", "warmup": "1", "ln_mean": "9"}, images=10**6, first=1)
    run = ended(RUNS.start(plan))
    assert run.state == "failed"
    at = open_page()
    assert [error.value for error in at.error] == [run.message]
    assert "\n" not in run.message
    assert "Traceback" not in run.message
    RUNS._known.clear()
    assert state_of(plan) == ("failed", run.message)
    button(at, "Delete it").click().run()
    assert not plan.folder.exists()


@pytest.mark.parametrize(
    ("code", "said", "message"),
    [
        (2, "Error: The loss became nan.", "The loss became nan."),
        (-9, "", "killed by the system (signal 9), most likely for lack of memory"),
        (1, "RuntimeError: no", "ended with code 1: RuntimeError: no"),
    ],
)
def test_reasons_are_sentences(code: int, said: str, message: str) -> None:
    assert message in runs._reason(code, said)


def test_trainings_wait_in_line_and_leave_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without processes: the first runs until it is stopped, the others wait."""
    started: list[str] = []

    class Process:
        def __init__(self, plan: Plan) -> None:
            started.append(plan.name)
            self.stopped = threading.Event()

        def wait(self) -> int:
            assert self.stopped.wait(60)
            return 2

        def send_signal(self, number: int) -> None:
            self.stopped.set()

    monkeypatch.setattr(runs, "_start", Process)
    line = Runs()
    first, second, third = (line.start(tiny(name)) for name in ("one", "two", "three"))
    until(lambda: started == ["one"])
    assert line.ask(Run(second.plan)) is second
    assert [line.before(run) for run in (first, second, third)] == [0, 1, 2]
    assert second.state == "waiting"
    line.pause(second.plan)
    assert second.ended.is_set()
    assert second.state == "paused"
    line.cancel(third.plan)
    assert third.state == "cancelled"
    assert not third.plan.folder.exists()
    assert line.active() == [first]
    again = line.resume(second.plan)
    line.pause(first.plan)
    assert ended(first).state == "paused"
    until(lambda: started == ["one", "two"])
    line.cancel(second.plan)
    assert ended(again).state == "cancelled"


def test_one_that_waits_says_for_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = tiny("one"), tiny("two")
    one.save(), two.save()
    blocked = Run(one, state="running")
    waiting = Run(two)
    monkeypatch.setattr(RUNS, "_line", [blocked, waiting])
    monkeypatch.setattr(RUNS, "_lanes", {})
    lane = RUNS._lane(blocked)
    for run in (blocked, waiting):
        lane.enter(run, "somebody")
    lane.begun.append(blocked)
    monkeypatch.setattr(RUNS, "_known", {one.key: blocked, two.key: waiting})
    at = open_page(watch="digits-two")
    bars = [bar.proto.text for bar in at.get("progress")]
    assert "1 training of this server is before this one." in bars
    assert "It waits for 2 others." in texts(at)
    blocked.ended.set(), waiting.ended.set()


def test_a_link_to_a_training_that_is_gone_says_so() -> None:
    tiny().save()
    at = open_page(watch="digits-gone")
    assert any("“digits-gone”, which is not on this machine" in warning.value for warning in at.warning)


def test_a_process_of_another_server_is_told_apart(own_networks: Path) -> None:
    plan = tiny()
    plan.save()
    now = {"note": "training", "fraction": 0.5, "at": time.time(), "images": 32, "rate": 8.0}
    (plan.folder / "progress.json").write_text(json.dumps(now))
    assert state_of(plan) == ("running", "elsewhere")
    assert "Pause" not in labels(open_page())
    (plan.folder / "progress.json").write_text(json.dumps({**now, "at": time.time() - 60}))
    assert state_of(plan) == ("paused", "")
    (plan.folder / OUTCOME).write_text(json.dumps({"state": "failed", "message": "Why."}))
    assert state_of(plan) == ("failed", "Why.")


# --- small words


def test_small_words() -> None:
    assert [_rounded(n) for n in (51_234, 1_234_567, 2.5e9)] == ["51,000", "1.2 million", "2.5 billion"]
    lines = [{"images": n, "held_out_ratio": r} for n, r in ((9.0, 2.0), (10.0, 2.0), (11.0, 1.5))]
    assert held_out_ratios([{"images": 8.0, "loss": 1.0}, *lines]) == [(9, 2.0), (11, 1.5)]


def test_smoothing_is_a_mean_of_neighbours() -> None:
    assert smoothed([4.0, 2.0]) == [4.0, 2.0]
    ramp = [float(i) for i in range(81)]
    assert smoothed(ramp)[2:-2] == pytest.approx(ramp[2:-2])
    assert smoothed(ramp)[0] == pytest.approx((0 + 1 + 2) / 3)
