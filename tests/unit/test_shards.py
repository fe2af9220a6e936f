"""Training images shared out among devices: two streams of work on a CPU, against the same on one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from locality.checks.sets import Given, eight_bit, floats, noisy
from locality.dataset import Dataset
from locality.denoisers import DENOISERS, Explains
from locality.denoisers.parts.bank import Bank
from locality.denoisers.parts.shards import ShardedBank, over_parts
from locality.device import Compute, devices_here, together, usable_device, usable_devices
from locality.errors import BadInput, TooLarge
from locality.fields.jacobian import differentiate, field_rows, pixel_outputs
from locality.linear.moments import estimate_moments
from locality.store import Store
from locality.types import Denoiser, ImageShape, Pixel
from locality.work import finish, heartbeat, listening
from tests.shell import Shell, refused
from tests.untimed import untimed

TWO, SHAPE = Compute(others=("cpu",)), ImageShape(1, 5, 6)


def fitted(text: str, images: Given, store: Store, compute: Compute) -> Denoiser:
    return finish(DENOISERS.parse(text).fit(images, compute, store))


def bank(n: int, count: int, *, flips: bool = True, memory: int = 10**9) -> Bank:
    """Images that all differ, on so many devices."""
    data = torch.randint(0, 256, (n, SHAPE.d), generator=torch.Generator().manual_seed(n), dtype=torch.uint8)
    compute = Compute(others=("cpu",) * (count - 1), memory=memory)
    return Bank.of(Dataset("made", "train", SHAPE, data), torch.arange(n), flips=flips, compute=compute)


# --- a bank in parts


@pytest.mark.parametrize(("n", "count"), [(7, 2), (7, 3), (3, 3), (2, 5)])
def test_a_bank_in_parts_is_the_bank(n: int, count: int) -> None:
    """Items, mirrored ones too, chunks, columns and numbers; parts without an image are left out."""
    whole, parts = bank(n, 1), bank(n, count)
    assert isinstance(parts, ShardedBank)
    assert [len(part) for part in parts.parts] == [2 * len(some) for some in torch.arange(n).tensor_split(count)][:n]
    assert len(parts) == len(whole) == 2 * n
    items = torch.tensor([2 * n - 1, 0, n, n - 1, n + 1, 0])
    assert torch.equal(parts.pick(items).data, whole.pick(items).data)
    assert torch.equal(parts.stored(1, n + 2), whole.stored(1, n + 2))
    assert torch.equal(parts.whole(), whole.whole())
    coords = torch.tensor([4, 0, 29])
    assert torch.equal(torch.cat(list(parts.columns(coords, 2))), torch.cat(list(whole.columns(coords, 2))))
    for mine, theirs in zip(parts.origin(items), whole.origin(items), strict=True):
        assert torch.equal(mine, theirs)
    assert parts.count(2) == len(list(parts.chunks(2)))
    each = [parts.items(number, torch.arange(len(part))) for number, part in enumerate(parts.parts)]
    assert torch.equal(torch.cat(each).sort().values, torch.arange(2 * n))
    for numbers, part in zip(each, parts.parts, strict=True):
        assert torch.equal(whole.pick(numbers).data, part.pick(torch.arange(len(part))).data)


def test_one_image_is_on_one_device() -> None:
    assert not isinstance(bank(1, 2), ShardedBank)


def test_parts_on_one_device_share_its_memory() -> None:
    assert [part.memory for part in bank(9, 3, memory=999).parts] == [333] * 3


# --- the same answers


@pytest.mark.parametrize(
    "text",
    ["optimal", "optimal:neighbours=7", "pca_locality:tau=0.1", "ls:window=3", "pspc_square:window=3", "els:window=3"],
)
def test_a_thousand_images_in_two_parts_have_the_means_of_one(text: str, store: Store) -> None:
    """Several pieces of work in each part, more noisy images than a pass takes: 1e-6, compiled loops and products."""
    images = eight_bit(1300 if "els" not in text else 60)
    one, two = (fitted(text, images, store, compute) for compute in (Compute(), TWO))
    for dtype in (torch.float32, torch.float64):
        x = noisy(images, 3 if dtype == torch.float64 else 9, 0.7, dtype=dtype)
        torch.testing.assert_close(two(x, 0.7), one(x, 0.7), rtol=0, atol=1e-6)


def test_the_first_of_true_ties_is_nearest_wherever_it_lies(store: Store) -> None:
    """Images 1 and 4 are alike, in other parts; so are the mirror image of 5 and image 0."""
    images = eight_bit(6, SHAPE)
    images.data.data[4] = images.data.data[1]
    images.data.data[5] = images.data.data[0].reshape(*SHAPE).flip(2).flatten()
    pixel = Pixel(0, 0)
    for row in range(6):
        model = fitted("nearest:flips=true", images, store, TWO)
        x = images.x0()[row].float()
        assert isinstance(model, Explains)
        found = model.explain(x, pixel, 0.1)
        assert (int(found.rows), bool(found.flipped)) == ({4: 1}.get(row, row), False)
        torch.testing.assert_close(model(x[None], 0.1)[0], x)


@pytest.mark.parametrize("text", ["optimal", "pca_locality:flips=true", "pspc_square:window=3", "golddiff"])
def test_fields_and_evidence_are_those_of_one_device(text: str, store: Store) -> None:
    """Known derivatives, and the backward pass through all parts."""
    for images in (eight_bit(), floats()):
        one, two = (fitted(text, images, store, compute) for compute in (Compute(), TWO))
        x, outputs = noisy(images, 2, 0.6), pixel_outputs(images.shape, Pixel(2, 3)).double()
        rows = field_rows(one, x, outputs, 0.6)
        torch.testing.assert_close(field_rows(two, x, outputs, 0.6), rows, rtol=0, atol=1e-9)
        if text != "golddiff":
            slopes = differentiate(one, x, outputs, 0.6)
            torch.testing.assert_close(differentiate(two, x, outputs, 0.6), slopes, rtol=0, atol=1e-9)
        assert isinstance(one, Explains)
        assert isinstance(two, Explains)
        mine, theirs = (model.explain(x[0].float(), Pixel(2, 3), 0.6) for model in (two, one))
        assert torch.equal(mine.rows, theirs.rows)
        torch.testing.assert_close(mine.weights, theirs.weights)


@pytest.mark.parametrize("count", [2, 3, 7])
def test_statistics_of_8bit_images_are_the_same_to_the_last_bit(count: int) -> None:
    """More devices than chunks too; float images to rounding."""
    data = eight_bit(40).data.data
    one, more = (estimate_moments(data.split(9), devices=("cpu",) * n) for n in (1, count))
    assert more.count == 40
    assert torch.equal(more.mean(), one.mean())
    assert torch.equal(more.cov(), one.cov())
    real = floats(40).data.data
    one, more = (estimate_moments(real.split(9), devices=("cpu",) * n) for n in (1, count))
    torch.testing.assert_close(more.cov(), one.cov(), rtol=1e-12, atol=1e-14)


# --- streams of work


def test_parts_are_worked_on_at_once() -> None:
    """Each waits for all the others: one after the other they would wait forever."""
    barrier = threading.Barrier(3, timeout=60)
    assert over_parts(bank(9, 3), torch.zeros(1, SHAPE.d), lambda part, x: (barrier.wait(), len(part))[1]) == [6, 6, 6]


@pytest.mark.parametrize("grad", [True, False])
def test_gradients_are_asked_for_in_every_stream_or_in_none(grad: bool) -> None:
    with torch.set_grad_enabled(grad):
        assert together([torch.is_grad_enabled] * 3) == [grad] * 3


def waits(over: threading.Event) -> Callable[[], None]:
    """Work that ends by a heartbeat alone."""

    def work() -> None:
        while not over.wait(0.01):
            heartbeat(0.5)

    return work


def fails() -> None:
    raise TooLarge("A part", 2, 1, "Give more.")


@pytest.mark.parametrize("first", [True, False])
def test_what_one_part_raises_ends_the_others(first: bool) -> None:
    over = threading.Event()
    works = [fails, waits(over)] if first else [waits(over), fails]
    with pytest.raises(TooLarge, match="A part"):
        together(works)
    over.set()


def test_a_listener_hears_one_part_and_may_cancel_all(store: Store) -> None:
    images = eight_bit(1300)
    model, heard = fitted("optimal", images, store, TWO), []
    x = noisy(images, 2, 1.0)
    with listening(heard.append):
        model(x, 1.0)
    assert heard == sorted(heard)
    assert heard[-1] == 1.0

    def enough(fraction: float) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError), listening(enough):
        model(x, 1.0)


# --- names of devices


def test_devices_are_listed_by_commas() -> None:
    assert usable_devices("cpu, cpu,cpu") == ("cpu",) * 3
    assert usable_device("auto") == usable_devices("auto")[0] in {"cpu", "cuda"}
    assert devices_here()[0] == "cpu"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "--device '' leaves a device out. Give auto, or some of cpu"),
        (",", "--device ',' leaves a device out"),
        ("cpu,,cpu", "leaves a device out"),
        ("gpu", "--device 'gpu' cannot be used here (Expected one of cpu, cuda"),
        ("cpu,gpu", "--device 'gpu' cannot be used here"),
        ("cuda:99", "--device 'cuda:99' cannot be used here"),
        ("cpu,cuda:99", "some of cpu"),
        ("meta", "--device 'meta' cannot be used here"),
    ],
)
def test_devices_that_are_not_there_are_refused(text: str, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        usable_devices(text)
    assert words in str(caught.value)


def test_work_on_one_device_refuses_several() -> None:
    with pytest.raises(BadInput, match=r"'cpu,cpu' names 2 devices; this runs on one\. Try cpu\."):
        usable_device("cpu,cpu")


def test_devices_of_one_kind_share_images() -> None:
    with pytest.raises(BadInput, match="among devices of one kind, not cpu and cuda"):
        Compute("cuda:0", others=("cpu",))
    assert Compute("cuda:0", others=("cuda:1",)).devices == ("cuda:0", "cuda:1")


def test_the_command_line_takes_several(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The same samples; and a training does not."""
    untimed(monkeypatch)
    shell, found = Shell(capsys, monkeypatch), []
    for number, devices in enumerate(("cpu", "cpu,cpu")):
        out = tmp_path / f"{number}.npz"
        options = ("-n", "2", "--steps", "3", "--device", devices, "--out", str(out))
        shell("sample", "digits", "--model", "optimal", *options)
        with np.load(out, allow_pickle=False) as file:
            found.append(file["x0_hat"])
    np.testing.assert_allclose(found[1], found[0], atol=1e-6)
    wrong = shell("sample", "digits", "--model", "optimal", "--device", "cpu,gpu", "--out", tmp_path / "x.npz")
    assert "'gpu' cannot be used here" in refused(wrong)
    training = ("--network", "unet", "--images", "8", "--device", "cpu,cpu", "--out", tmp_path / "net")
    assert "names 2 devices; this runs on one" in refused(shell("train", "digits", *training))
