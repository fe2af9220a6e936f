"""What a training leaves for whoever watches: log, progress, preview; the weights are those of one nobody watches."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from locality.dataset import Dataset
from locality.datasets import Source
from locality.errors import BadInput
from locality.fields.jacobian import compare, reduce_inputs
from locality.networks import STATE, Budget, NetworkSpec, TrainSpec, load_network, training_speed
from locality.networks.unet import UNet
from locality.studies import finish, fit_wiener, pixel_field, read_log, read_preview, read_progress, train_network
from locality.studies.fields.draws import Draws
from locality.studies.training.journal import LOG, NOW, Log, recorded
from locality.studies.training.preview import DRAWS, PLAN, PREVIEW, Frame, Preview, Previewer, write_preview
from locality.types import ImageShape, Pixel
from locality.work import Progress

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.usefixtures("one_thread"),
]  # seconds on an idle machine; others may be at work
TINY = UNet(channels=(16, 16), groups=8)
FAST = TrainSpec(batch=4, warmup=16, rate=3e-3)


@pytest.fixture(scope="module")
def digits() -> Source:
    return Source.parse("digits")


def work(source: Source, folder: Path, images: int, **options: Any) -> Any:
    return train_network(source, TINY, FAST, Budget(images=images), folder, **options)


# --- log


def numbers(images: int, loss: float) -> dict[str, float]:
    return {"images": images, "loss": loss, "rate": 10.0}


def test_lines_hold_the_mean_loss_and_come_less_often_as_time_goes(tmp_path: Path) -> None:
    log = Log(tmp_path, 0)
    for i in range(100):
        log.add(numbers(4 * i, float(i)), seconds=0.25 * i)
    log.flush()
    lines = read_log(tmp_path)
    assert [line["images"] for line in lines][:4] == [0, 16, 32, 48]  # a second apart
    assert lines[1]["loss"] == pytest.approx((1 + 2 + 3 + 4) / 4)
    assert lines[-1]["images"] == 396  # the flush
    late = Log(tmp_path / "late", 0)
    for i in range(200):
        late.add(numbers(i, 1.0), seconds=3000.0 + i)
    assert len(read_log(tmp_path / "late")) == 19  # every 10 to 11 seconds


def test_a_log_goes_on_where_the_state_is(tmp_path: Path) -> None:
    """Lines beyond the saved state are made again: none twice; a new training starts a new log."""
    log = Log(tmp_path, 0)
    for i in range(10):
        log.add(numbers(i, 1.0), seconds=2.0 * i)
    Log(tmp_path, 6)
    assert [line["images"] for line in read_log(tmp_path)] == [0, 1, 2, 3, 4, 5, 6]
    Log(tmp_path, 0)
    assert read_log(tmp_path) == []


def test_half_a_line_is_left_out(tmp_path: Path) -> None:
    Log(tmp_path, 0).add(numbers(4, 1.0), 0.0)
    with (tmp_path / LOG).open("a") as file:
        file.write('{"images": 8, "los')
    assert [line["images"] for line in read_log(tmp_path)] == [4]
    assert read_log(tmp_path / "none") == []


def test_progress_is_reported_while_there_is_any(tmp_path: Path) -> None:
    def steps() -> Any:
        yield Progress(1, 4, "training", {"loss": 0.5})
        yield Progress(2, 4, "training", {"loss": 0.25})
        return "done"

    reported = recorded(steps(), tmp_path, every=0.0)
    next(reported)
    assert {"note": "training", "fraction": 0.25, "loss": 0.5}.items() <= read_progress(tmp_path).items()
    next(reported)
    assert read_progress(tmp_path)["fraction"] == 0.5
    with pytest.raises(StopIteration, match="done"):
        next(reported)
    assert read_progress(tmp_path) == {}
    (tmp_path / NOW).write_text("{")
    assert read_progress(tmp_path) == {}


# --- a whole training


def test_watching_changes_no_weight(digits: Source, tmp_path: Path) -> None:
    plain = finish(work(digits, tmp_path / "plain", 64))
    watched = finish(work(digits, tmp_path / "watched", 64, preview=True))
    assert plain.manifest["sha256"] == watched.manifest["sha256"]
    assert not (tmp_path / "plain" / PREVIEW).exists()
    assert (tmp_path / "watched" / PREVIEW).exists()


def test_the_curve_ends_where_the_manifest_says(digits: Source, tmp_path: Path) -> None:
    """The held-out ratio of the log against the numbers themselves."""
    trained = finish(work(digits, tmp_path, 32))
    last = read_log(tmp_path)[-1]
    assert last["images"] == trained.manifest["images_seen"] == 32
    first = read_log(tmp_path)[0]
    wiener = finish(fit_wiener(digits))
    x0 = digits.held_out.x0(slice(0, 128))
    g = torch.Generator().manual_seed(0)
    eps = torch.stack([torch.randn(64, generator=g) for _ in range(128)])
    expected = float((wiener(x0 + 0.5 * eps, 0.5) - x0).double().square().sum(dim=1).mean())
    assert first["held_out"] / first["held_out_ratio"] == pytest.approx(expected, rel=1e-5)


def test_stopped_and_resumed_has_one_curve(digits: Source, tmp_path: Path) -> None:
    run = work(digits, tmp_path, 64, preview=True)
    seen = [event for event in (next(run) for _ in range(9)) if event.note == "training"]
    run.close()
    images = int(seen[-1].numbers["images"])
    assert read_log(tmp_path)[-1]["images"] == images
    assert (tmp_path / STATE).exists()
    assert read_progress(tmp_path)["fraction"] > 0
    finish(work(digits, tmp_path, 64, preview=True, resume=True))
    counts = [line["images"] for line in read_log(tmp_path)]
    assert counts == sorted(set(counts))
    assert counts[-1] == 64
    preview = read_preview(tmp_path)
    assert preview is not None
    frames = [frame.images for frame in preview.frames]
    assert frames == sorted(set(frames))
    assert frames[-1] == 64


# --- preview


def test_the_preview_shows_the_fields_of_the_library(digits: Source, tmp_path: Path) -> None:
    """Predicted: the exact row of W. Learned: as `pixel_field` of the finished network, up to float16 weights."""
    finish(work(digits, tmp_path, 32, preview=True))
    preview = read_preview(tmp_path)
    assert preview is not None
    assert (preview.shape, preview.pixel, preview.sigma) == (ImageShape(1, 8, 8), Pixel(4, 4), 0.5)
    exact = finish(pixel_field(digits, "wiener", preview.pixel, 0.5, Draws()))
    torch.testing.assert_close(preview.predicted, reduce_inputs(exact[0]))
    learned = finish(pixel_field(digits, str(tmp_path), preview.pixel, 0.5, DRAWS))
    assert compare(preview.frames[-1].learned, reduce_inputs(learned[0]), preview.pixel).pearson > 0.999
    assert preview.frames[-1].samples.shape == (PLAN.count, 64)
    assert load_network(tmp_path).shape == preview.shape


def test_frames_are_kept_at_growing_distances(digits: Source, tmp_path: Path) -> None:
    from locality.networks import Training

    training = Training(digits.train, TINY, FAST, tmp_path, held_out=digits.held_out)
    previewer = Previewer(training, digits, finish(fit_wiener(digits)))
    frame = Frame(0, 0.0, torch.zeros(18, 64, dtype=torch.uint8), torch.zeros(8, 8))
    made: list[int] = []

    def fake() -> Frame:
        made.append(training.images)
        return Frame(training.images, 0.0, frame.samples, frame.learned)

    previewer._frame = fake  # type: ignore[method-assign]
    for training.images in range(4, 40_000, 40):
        previewer.update(force=True)
    kept = [one.images for one in previewer.preview.frames]
    assert kept[0] == 4
    assert kept[-1] == made[-1]
    assert len(kept) < 40
    assert all(after >= 1.3 * before for before, after in itertools.pairwise(kept[:-1]))
    count = len(made)
    previewer.update()  # not due yet
    assert len(made) == count


def test_a_preview_round_trips_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    g = torch.Generator().manual_seed(0)
    samples = torch.randint(256, (3, 12), generator=g, dtype=torch.uint8)
    frames = [Frame(8, 0.5, samples, torch.rand(2, 2, generator=g)), Frame(16, 1.5, samples, torch.ones(2, 2))]
    write_preview(tmp_path, Preview(ImageShape(3, 2, 2), 0.5, Pixel(1, 1), torch.eye(2), frames))
    back = read_preview(tmp_path)
    assert back is not None
    assert [(frame.images, frame.seconds) for frame in back.frames] == [(8, 0.5), (16, 1.5)]
    assert torch.equal(back.frames[0].learned, frames[0].learned)
    assert torch.equal(back.predicted, torch.eye(2))
    (tmp_path / PREVIEW).write_bytes(b"no")
    with pytest.raises(BadInput, match="not a readable safetensors file"):
        read_preview(tmp_path)
    assert read_preview(tmp_path / "none") is None


def test_speed_is_that_of_real_steps_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert training_speed(TINY, FAST, ImageShape(1, 8, 8)) > 1.0
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(BadInput, match="need sides divisible"):
        training_speed(TINY, FAST, ImageShape(1, 7, 7))


@pytest.mark.parametrize(
    ("fixed", "each", "batches", "speed"),
    [
        (0.3, 0.02, [1, 8, 64], 64 / 1.58),
        (0.0, 0.001, [1, 8, 64], 1000),
        (0.0, 0.6, [1], 1 / 0.6),
        (0, 0.1, [1, 8], 10),
    ],
)
def test_a_step_of_one_image_that_takes_long_does_not_hide_that_many_go_together(
    fixed: float, each: float, batches: list[int], speed: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`fixed` seconds a step, `each` an image: larger batches are tried unless they would take seconds."""
    asked: list[int] = []

    def seconds(network: NetworkSpec, train: TrainSpec, images: Dataset) -> float:
        asked.append(train.batch)
        return fixed + each * train.batch

    monkeypatch.setattr("locality.networks.training.speed._step_seconds", seconds)
    assert training_speed(TINY, FAST, ImageShape(1, 8, 8)) == pytest.approx(speed)
    assert asked == batches


def test_the_first_step_and_a_disturbed_one_are_not_the_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    takes = iter([9.0, 0.5, 0.01] * 3)  # it compiles, others are at work, then the step itself

    def step(training: object, lr: float) -> float:
        clock[0] += next(takes)
        return 0.0

    monkeypatch.setattr("locality.networks.training.loop.Training._step", step)
    monkeypatch.setattr("locality.networks.training.speed.time.perf_counter", lambda: clock[0])
    assert training_speed(TINY, FAST, ImageShape(1, 8, 8)) == pytest.approx(6400)


def test_progress_files_are_json(digits: Source, tmp_path: Path) -> None:
    run = work(digits, tmp_path, 64)
    next(event for event in run if event.note == "training")
    run.close()
    assert all(isinstance(json.loads(line), dict) for line in (tmp_path / LOG).read_text().splitlines())
