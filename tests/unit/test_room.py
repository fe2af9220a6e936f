"""What is made of a set that lies in files lies in files too: same images, no memory for them."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from locality.checks.sets import Pair, eight_bit
from locality.dataset import Dataset
from locality.datasets.folder import Folder
from locality.denoisers.parts import kmeans
from locality.denoisers.parts.bank import Bank
from locality.denoisers.parts.evidence import Heaviest
from locality.denoisers.parts.kmeans import cluster
from locality.device import Compute
from locality.edits import EDITS
from locality.edits.parts.spec import Stage
from locality.errors import BadInput, TooLarge
from locality.metrics import effective_number
from locality.pictures import kept, scratch
from locality.pictures.room import filled, room
from locality.pictures.scratch import pictures_folder
from locality.store import Store
from locality.types import ImageShape
from tests.pictures import encode, noise, pngs, write_folder

SHAPE = ImageShape(3, 6, 5)
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux names the files that a process has mapped")


@pytest.fixture(autouse=True)
def fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALITY_CACHE", str(tmp_path / "cache"))


def lies_in_a_file(images: torch.Tensor) -> bool:
    """Whether the memory of a tensor is that of a file which has no name any more."""
    place = images.data_ptr()
    for line in Path("/proc/self/maps").read_text().splitlines():
        start, stop = (int(word, 16) for word in line.split()[0].split("-"))
        if start <= place < stop:
            return "cache" in line and line.endswith("(deleted)") and "rw-s" in line
    raise AssertionError("mapped nowhere")


def images(count: int = 60, *, mapped: bool = True) -> Dataset:
    return replace(eight_bit(count, SHAPE).data, mapped=mapped, labels=torch.arange(count) % 3)


@LINUX
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
def test_a_file_that_is_gone_with_its_reader(dtype: torch.dtype) -> None:
    made = room(30, 7, dtype, in_file=True)
    assert lies_in_a_file(made)
    assert made.shape == (30, 7)
    assert made.dtype == dtype
    made[:] = torch.arange(210).reshape(30, 7)
    assert torch.equal(made[29], torch.arange(203, 210).to(dtype))
    assert list(pictures_folder().iterdir()) == []
    assert not lies_in_a_file(room(30, 7, dtype, in_file=False))


def test_filled_a_part_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("locality.pictures.room._MOST", 16)
    asked: list[slice] = []

    def part(rows: slice) -> torch.Tensor:
        asked.append(rows)
        return torch.arange(rows.start, rows.stop)[:, None].expand(-1, 5).to(torch.uint8)

    made = filled(37, 5, torch.uint8, part, in_file=True)
    assert torch.equal(made[:, 2], torch.arange(37).to(torch.uint8))
    assert asked == [slice(0, 16), slice(16, 32), slice(32, 37)]


def test_a_disk_without_room_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "SPARE", 10**18)
    with pytest.raises(TooLarge, match="What is made of 1,000 images needs"):
        room(1000, 10, torch.uint8, in_file=True)


@LINUX
@pytest.mark.parametrize("text", ["mirror", "channels", "pattern", "shuffle", "clip", "mix:dataset=mnist,share=0.5"])
def test_edits_of_a_mapped_set(text: str, tmp_path: Path) -> None:
    edit = EDITS.parse(text)
    other = Pair(eight_bit(80, SHAPE, seed=5).data)
    in_memory, mapped = images(mapped=False), images()
    stage = Stage(eight_bit(60, SHAPE), other, Compute(), Store(tmp_path))
    found, expected = edit.images(mapped, stage), edit.images(in_memory, stage)
    assert torch.equal(found.data, expected.data)
    assert found.mapped
    assert lies_in_a_file(found.data)
    assert not lies_in_a_file(expected.data)


@LINUX
@pytest.mark.parametrize("flips", [False, True])
def test_a_selection_larger_than_the_memory_of_a_call(flips: bool) -> None:
    train, rows = images(), torch.arange(60)[torch.arange(60) % 3 != 1]
    small, large = (Bank.of(train, rows, flips=flips, compute=Compute(memory=memory)) for memory in (1000, 10**6))
    assert torch.equal(small.data, large.data)
    assert lies_in_a_file(small.data)
    assert not lies_in_a_file(large.data)
    items = torch.randperm(len(large), generator=torch.Generator().manual_seed(0))[:35]
    some, same = small.pick(items), large.pick(items)
    assert torch.equal(some.data, same.data)
    assert torch.equal(some.rows, same.rows)
    assert lies_in_a_file(some.data)
    assert not lies_in_a_file(same.data)


def test_clusters_are_the_same_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = cluster(images(90, mapped=False), 4, 0, 32)
    monkeypatch.setattr(kmeans, "_TOGETHER", 30)
    assert torch.equal(cluster(images(90), 4, 0, 32), whole)
    assert len(whole.unique()) == 4


@pytest.mark.parametrize("size", [1, 7, 60])
def test_the_heaviest_of_many_logits(size: int) -> None:
    generator = torch.Generator().manual_seed(size)
    logits = 300.0 * torch.randn(60, generator=generator, dtype=torch.float64).sort().values / 50
    logits[:9] = -torch.inf
    logits[20] = -torch.inf
    heaviest = Heaviest(5)
    for part in logits.split(size):
        heaviest.add(part)
    place = ImageShape(1, 2, 3)
    bank = Bank(SHAPE, torch.zeros(10, SHAPE.d, dtype=torch.uint8), torch.arange(100, 110), False, 0)
    found = heaviest.evidence(bank, torch.ones(6, 5), place)
    weights = logits.softmax(dim=0)
    best = weights.topk(5)
    torch.testing.assert_close(found.weights, best.values.float())
    assert torch.equal(found.rows, 100 + best.indices // 6)
    assert found.places is not None
    assert torch.equal(found.places, torch.stack([best.indices % 6 // 3, best.indices % 3], dim=1))
    assert found.effective == pytest.approx(float(effective_number(weights)), rel=1e-9)


def test_files_that_change_while_they_are_decoded_are_no_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, read = write_folder(tmp_path / "set", pngs(7, 8, 8, 3)), kept.decode_together

    def written_to(*args: Any) -> Any:
        found = read(*args)
        (root / "003.png").write_bytes(encode(noise(9, 8, 8, 3), "PNG") + b"more")
        return found

    monkeypatch.setattr(kept, "decode_together", written_to)
    folder = Folder(path=str(root), resolution=8)
    with pytest.raises(BadInput, match="set changed while its images were read"):
        folder.load()
    assert not list(pictures_folder().glob("*/set.json"))
    monkeypatch.setattr(kept, "decode_together", read)
    assert len(folder.load()) == 6  # read again, it is one
