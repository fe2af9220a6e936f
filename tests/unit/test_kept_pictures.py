"""Decoded sets: kept once, read again at once, by one process or several, never half-written."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from locality.datasets.folder import Folder
from locality.errors import BadInput, TooLarge
from locality.pictures import decode, kept, opened
from locality.pictures.arrays import NamedArray
from locality.pictures.decode import Request
from locality.pictures.scratch import pictures_folder
from locality.pictures.walk import walk
from tests.pictures import encode, noise, pngs, write_folder, write_zip

SEVEN = pngs(7, 8, 8, 3)


@pytest.fixture(autouse=True)
def fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALITY_CACHE", str(tmp_path / "cache"))


def request_of(path: Path, **options: object) -> Request:
    return Request(str(path), **{"resolution": 8, "crop": "centre", "mode": "rgb", **options})


def left_over() -> list[str]:
    """What lies beside finished sets and their locks."""
    names = (path.name for path in pictures_folder().iterdir())
    return [name for name in names if name.startswith(".")]


def test_the_second_start_reads_no_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_folder(tmp_path / "set", SEVEN)
    first = Folder(path=str(root), resolution=8)
    data = first.load().data.clone()
    monkeypatch.setattr(kept, "decode_together", None)
    again = Folder(path=str(root), resolution=8)
    assert torch.equal(again.load().data, data)
    assert len(again.load("test")) == 1


def test_a_set_is_described_by_one_walk_of_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    walked: list[Path] = []
    for module in (kept, opened):
        monkeypatch.setattr(module, "walk", lambda path: walked.append(path) or walk(path))
    root = write_folder(tmp_path / "set", SEVEN)
    assert kept.listed(request_of(root)) == (6, 1, [])
    assert walked == [root]


def test_an_npz_is_described_by_its_headers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez_compressed(tmp_path / "set.npz", images=np.zeros((20, 20, 30), np.uint8))
    monkeypatch.setattr(NamedArray, "_unpacked", None)
    train, test, notes = kept.listed(request_of(tmp_path / "set.npz"))
    assert (train, test) == (18, 2)
    assert notes == [
        "images.npy in set.npz is [20, 20, 30] and read as 20 images of 20 x 30 pixels. If it holds 30 images of "
        "20 x 20, save np.moveaxis(array, -1, 0)."
    ]


@pytest.mark.parametrize("change", ["time", "size", "name", "new", "option"])
def test_other_files_or_options_are_another_set(tmp_path: Path, change: str) -> None:
    root = write_folder(tmp_path / "set", SEVEN)
    before = kept.address(request_of(root))
    assert kept.address(request_of(root)) == before
    if change == "time":
        os.utime(root / "003.png", ns=(1, 1))
    elif change == "size":
        (root / "003.png").write_bytes(SEVEN["003.png"] + b"\0")
    elif change == "name":
        (root / "003.png").rename(root / "0030.png")
    elif change == "new":
        (root / "9.png").write_bytes(SEVEN["003.png"])
    assert kept.address(request_of(root, **({"values": "0..200"} if change == "option" else {}))) != before


def test_a_changed_image_is_read_again(tmp_path: Path) -> None:
    spec = Folder(path=str(write_folder(tmp_path / "set", SEVEN)), resolution=8)
    before = spec.load().data.clone()
    (tmp_path / "set" / "003.png").write_bytes(encode(noise(99, 8, 8, 3)))
    after = spec.load().data
    assert (before != after).any(dim=1).tolist() == [False, False, True, False, False, False]


@pytest.mark.parametrize("pack", ["folder", "zip"])
def test_several_processes_read_the_same_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: str) -> None:
    files = {f"{'ab'[i % 2]}/{i:02d}.png": encode(noise(i, 9, 8, 3)) for i in range(41)}
    files["b/99.gif"] = encode(noise(99, 8, 8))
    path = write_zip(tmp_path / "set.zip", files) if pack == "zip" else write_folder(tmp_path / "set", files)
    spec = Folder(path=str(path), resolution=8)
    alone = [spec.load(split).data.clone() for split in ("train", "test")], spec.load().labels, spec.notes()
    monkeypatch.setenv("LOCALITY_CACHE", str(tmp_path / "other"))
    monkeypatch.setattr(decode, "_FEW", 10)
    reported: list[float] = []
    kept.obtain(Request(str(path), 8, "centre", "rgb"), reported.append)
    together = [spec.load(split).data for split in ("train", "test")], spec.load().labels, spec.notes()
    assert all(torch.equal(a, b) for a, b in zip(alone[0], together[0], strict=True))
    assert torch.equal(alone[1], together[1])
    assert alone[2] == together[2]
    assert reported == sorted(reported)
    assert reported[-1] == 1.0
    assert not left_over()


def test_a_damaged_image_that_another_process_meets_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "_FEW", 10)
    files = pngs(20, 8, 8, 3)
    files["017.png"] = files["017.png"][:-30]  # its header is sound
    with pytest.raises(BadInput, match=r"017\.png is not a readable image"):
        Folder(path=str(write_folder(tmp_path / "set", files)), resolution=8).load()
    monkeypatch.setattr("locality.pictures.images.MAX_PIXELS", 10**9)  # of this process: the others keep theirs
    files["017.png"] = encode(np.zeros((8001, 8001), np.uint8))
    write_folder(tmp_path / "set", files)
    with pytest.raises(TooLarge, match=r"017\.png with its pixels unpacked needs 256 MB"):
        Folder(path=str(tmp_path / "set"), resolution=8).load()
    assert not left_over()


def test_a_process_ended_from_outside_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "_FEW", 10)
    start = decode._start

    def doomed(job: dict) -> subprocess.Popen[bytes]:
        worker = start(job)
        worker.kill()
        return worker

    monkeypatch.setattr(decode, "_start", doomed)
    with pytest.raises(BadInput, match="was ended from outside"):
        Folder(path=str(write_folder(tmp_path / "set", pngs(20, 8, 8, 3))), resolution=8).load()
    assert not left_over()


def test_cancelling_leaves_nothing_and_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "_FEW", 10)
    started = []
    start = decode._start
    monkeypatch.setattr(decode, "_start", lambda job: started.append(start(job)) or started[-1])

    def stop(share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept.obtain(request_of(write_folder(tmp_path / "set", pngs(40, 8, 8, 3))), stop)
    assert not left_over()
    assert started
    assert all(worker.poll() is not None for worker in started)


def test_a_half_written_set_is_never_read_and_removed_later(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "set", SEVEN)
    spec = Folder(path=str(root), resolution=8)
    want = spec.load().data.clone()
    folder = pictures_folder() / kept.address(request_of(root))
    (folder / "pixels.bin").write_bytes(b"short")  # as a full disk or a broken copy leaves it
    assert torch.equal(spec.load().data, want)
    stale = pictures_folder() / ".part-old"
    stale.mkdir()
    os.utime(stale, (0, 0))
    fresh = pictures_folder() / ".part-new"
    fresh.mkdir()
    kept.obtain(request_of(write_folder(tmp_path / "two", SEVEN)))
    assert left_over() == [".part-new"]


def test_the_sets_not_used_for_longest_leave_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = [request_of(write_folder(tmp_path / name, SEVEN)) for name in "abc"]
    for age, request in enumerate(requests):
        os.utime(kept.obtain(request).folder / "set.json", (1000 - age, 1000 - age))
    kept.obtain(requests[2])  # used now: the oldest is b
    monkeypatch.setattr(kept, "ROOM", 2 * 7 * 192 + 1000)
    kept.obtain(request_of(write_folder(tmp_path / "d", SEVEN)))
    assert [(pictures_folder() / kept.address(request)).exists() for request in requests] == [True, False, True]


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LOCALITY_CACHE", str(tmp_path / "file"))
    with pytest.raises(BadInput, match="Set LOCALITY_CACHE to a folder you may write to"):
        Folder(path=str(write_folder(tmp_path / "set", SEVEN)), resolution=8).load()


def test_the_second_start_of_many_photographs_is_twenty_times_faster(tmp_path: Path) -> None:
    photo = encode(noise(1, 256, 256, 3), "JPEG")
    other = encode(noise(2, 256, 256, 3), "JPEG")
    request = request_of(write_folder(tmp_path / "set", {f"{i:04d}.jpg": (photo, other)[i % 2] for i in range(400)}))
    start = time.process_time() + sum(os.times()[2:4])
    kept.obtain(request)
    first = time.process_time() + sum(os.times()[2:4]) - start
    start = time.process_time()
    again = kept.obtain(request)
    assert again.pixels("train")[5, 5] == again.pixels("train")[7, 5]
    assert first > 20 * (time.process_time() - start)
