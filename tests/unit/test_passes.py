"""A pass over a training set: killed and gone on with, the same sums bit for bit; other images start it anew."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from dataclasses import replace
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np
import pytest
import torch

from locality.dataset import Dataset, InMemory
from locality.device import Compute
from locality.errors import BadInput
from locality.linear import passes
from locality.linear.moments import Moments, PixelMoments, ValueMoments, estimate_moments
from locality.linear.passes import chunk_size, sum_images
from locality.linear.statistics import fit_filter
from locality.store import Store
from locality.studies import finish
from locality.types import ImageShape
from locality.work import Progress

SHAPE = ImageShape(1, 30, 30)  # more coordinates than a block of the sums
COMPUTE = Compute(images=50)
N = 430


def pixels(seed: int = 0, *, floats: bool = False) -> torch.Tensor:
    made = np.random.default_rng(seed).integers(0, 256, (N, SHAPE.d), np.uint8)
    return torch.from_numpy(made).float().div(100.0) if floats else torch.from_numpy(made)


def set_of(data: torch.Tensor, *, mapped: bool = False) -> InMemory:
    return InMemory(Dataset("drawn", "train", SHAPE, data, mapped=mapped))


def same(a: Moments, b: Moments) -> bool:
    if isinstance(a, PixelMoments) and isinstance(b, PixelMoments):
        return a.count == b.count and torch.equal(a.sums, b.sums) and torch.equal(a.gram, b.gram)
    assert isinstance(a, ValueMoments)
    assert isinstance(b, ValueMoments)
    return a.count == b.count and torch.equal(a.centre, b.centre) and torch.equal(a.scatter, b.scatter)


def stopped(images: InMemory, store: Store, after: int) -> None:
    """A pass closed after so many chunks."""
    work = sum_images(images, COMPUTE, store, every=0.0)
    for _ in range(after):
        next(work)
    work.close()


def events_of(work: Generator[Progress, None, Moments]) -> tuple[Moments, list[Progress]]:
    events: list[Progress] = []
    return finish(work, events.append), events


def left(store: Store) -> list[str]:
    return sorted(path.name for path in (store.local / "passes").glob("*"))


@pytest.mark.parametrize("floats", [False, True])
@pytest.mark.parametrize("after", [1, 4, 9])
def test_a_pass_that_was_stopped_goes_on_with_the_same_sums(tmp_path: Path, floats: bool, after: int) -> None:
    images, store = set_of(pixels(floats=floats)), Store(tmp_path)
    whole = finish(sum_images(images, COMPUTE, Store(tmp_path / "other"), every=0.0))
    stopped(images, store, after)
    assert len(left(store)) == 1
    again, events = events_of(sum_images(images, COMPUTE, store))
    assert same(again, whole)
    assert len(events) == 9 - after  # chunks that were summed before are not summed again
    assert all(f"after {50 * after if after < 9 else N}" in event.note for event in events)
    assert left(store) == []


@pytest.mark.parametrize("after", [1, 2, 3, 8, 9])
@pytest.mark.parametrize("mapped", [False, True])
def test_sums_of_float_images_are_those_of_parts(
    tmp_path: Path, mapped: bool, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Merged in order, also where the pass was stopped twice, in a part or between two."""
    monkeypatch.setattr(passes, "_PART", 100)
    data = pixels(floats=True)
    if mapped:
        data.numpy().tofile(tmp_path / "images.bin")
        data = torch.from_numpy(np.memmap(tmp_path / "images.bin", np.float32, "r+", shape=(N, SHAPE.d)))
    images, store = set_of(data, mapped=mapped), Store(tmp_path)
    parts = [estimate_moments(part.split(50)) for part in data.split(100)]
    stopped(images, store, 1)
    stopped(images, store, after - 1) if after > 1 else None
    again, events = events_of(sum_images(images, COMPUTE, store))
    assert same(again, reduce(add, parts))
    assert not same(again, estimate_moments(data.split(50)))
    assert len(events) == 9 - after


_CHILD = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from locality.linear.passes import sum_images
from locality.store import Store
from tests.unit.test_passes import COMPUTE, pixels, set_of

for number, event in enumerate(sum_images(set_of(pixels()), COMPUTE, Store(Path(sys.argv[1])), every=0.0)):
    if number == 5:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_loses_no_more_than_a_moment(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", _CHILD, str(tmp_path), str(root)], timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL
    store = Store(tmp_path)
    assert len(left(store)) == 1
    again, events = events_of(sum_images(set_of(pixels()), COMPUTE, store))
    assert len(events) < 9  # keeping the sums takes at most a twentieth of the time: not after every chunk
    assert same(again, estimate_moments([pixels()]))


def test_other_images_start_anew_and_it_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(tmp_path)
    stopped(set_of(pixels(0)), store, 3)
    with caplog.at_level(logging.WARNING):
        found = finish(sum_images(set_of(pixels(1)), COMPUTE, store))
    assert same(found, estimate_moments([pixels(1)]))
    assert "pass over drawn had seen 150 images, and these are others: it starts anew" in caplog.text


def test_more_of_the_same_images_are_others(tmp_path: Path) -> None:
    store, data = Store(tmp_path), pixels()
    stopped(set_of(data[:300]), store, 3)
    found, events = events_of(sum_images(set_of(data), COMPUTE, store))
    assert same(found, estimate_moments([data]))
    assert {event.note for event in events} == {"Covariance"}


@pytest.mark.parametrize("damage", ["cut", "changed", "nothing", "words", "older"])
def test_damaged_sums_are_not_used(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    store, images = Store(tmp_path), set_of(pixels())
    stopped(images, store, 3)
    path = next((tmp_path / "passes").iterdir())
    payload = path.read_bytes()
    middle = len(payload) // 2
    path.write_bytes(
        {
            "cut": payload[:middle],
            "changed": payload[:middle] + bytes([payload[middle] ^ 1]) + payload[middle + 1 :],
            "nothing": b"",
            "words": b"[1, 2]\n",
            "older": payload.replace(b'"format": 2', b'"format": 1'),
        }[damage]
    )
    assert same(finish(sum_images(images, COMPUTE, store)), estimate_moments([pixels()]))
    assert damage == "older" or "cannot be read" in caplog.text


def test_progress_counts_images_and_tells_the_time_left(tmp_path: Path) -> None:
    _, events = events_of(sum_images(set_of(pixels()), COMPUTE, Store(tmp_path)))
    assert [event.done for event in events] == [*range(50, N, 50), N]
    assert all(event.total == N and event.numbers["rate"] > 0 for event in events)
    assert events[0].numbers["seconds_left"] > 0
    assert events[-1].numbers["seconds_left"] == 0
    assert left(Store(tmp_path)) == []  # nothing is kept of a pass of less than a minute


def test_a_cache_that_takes_nothing_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "passes").write_bytes(b"a file where a folder should be")
    found = finish(sum_images(set_of(pixels()), COMPUTE, Store(tmp_path), every=0.0))
    assert same(found, estimate_moments([pixels()]))
    assert "cannot be kept" in caplog.text


def mapped_set(path: Path) -> InMemory:
    return set_of(torch.from_numpy(np.memmap(path, np.uint8, "r+", shape=(N, SHAPE.d))), mapped=True)


@pytest.mark.parametrize("row", [10, 420])
def test_a_file_that_changes_on_the_way_is_refused(tmp_path: Path, row: int) -> None:
    path = tmp_path / "images.bin"
    pixels().numpy().tofile(path)
    images, store = mapped_set(path), Store(tmp_path)
    finish(sum_images(images, COMPUTE, store))
    work = sum_images(images, COMPUTE, store, every=0.0)
    for _ in range(4):
        next(work)
    images.data.data[row, 3] += 1
    if row == 10:  # summed already, then killed: the next process reads all of it again
        work.close()
        work = sum_images(images, COMPUTE, store, every=0.0)
    with pytest.raises(BadInput, match="images of drawn changed while their statistics were taken"):
        finish(work)
    assert left(store) == []


def test_the_decomposition_goes_on_with_a_stopped_pass(tmp_path: Path) -> None:
    store, other = Store(tmp_path), Store(tmp_path / "other")
    data = torch.cat([pixels(seed) for seed in range(3)])
    images = InMemory(Dataset("drawn", "train", SHAPE, data))
    work = sum_images(images, COMPUTE, store, every=0.0)
    for _ in range(20):
        next(work)
    work.close()
    notes: list[str] = []
    found = finish(fit_filter(images, COMPUTE, store), lambda event: notes.append(event.note))
    assert "Covariance, resumed after 1,000 images" in notes
    assert torch.equal(found.eigvals, finish(fit_filter(images, COMPUTE, other)).eigvals)


@pytest.mark.parametrize("megabytes", [8, 20, 100])
def test_chunks_fit_the_memory_that_is_given(megabytes: int) -> None:
    data = set_of(pixels()).data
    size = chunk_size(data, Compute(decomposition=megabytes * 10**6))
    assert 8 * SHAPE.d * size + 8 * SHAPE.d**2 <= max(megabytes * 10**6, 8 * SHAPE.d * (SHAPE.d + 32))
    assert size == 8192 if megabytes == 100 else size < 8192
    assert chunk_size(replace(data, data=data.data.float()), Compute(decomposition=megabytes * 10**6)) <= size
    assert chunk_size(data, Compute()) == 8192


def test_what_was_half_written_long_ago_is_swept(tmp_path: Path) -> None:
    folder = tmp_path / "passes"
    folder.mkdir()
    for name, age in (("old.sums", 10**7), (".torn.sums.1.2", 10**4), ("young.sums", 10**4)):
        (folder / name).write_bytes(b"x")
        os.utime(folder / name, (folder.stat().st_mtime - age,) * 2)
    stopped(set_of(pixels()), Store(tmp_path), 1)
    assert len(left(Store(tmp_path))) == 2
    assert "young.sums" in left(Store(tmp_path))
