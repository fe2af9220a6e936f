"""Nearest training images against a double loop in float64, with duplicates, near ties and any chunking."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from locality.datasets import Source
from locality.device import Compute
from locality.errors import BadInput, NonFinite, TooLarge
from locality.studies import finish, nearest_training
from locality.work import Progress
from tests.pictures import noise


def set_of(folder: Path, pixels: np.ndarray) -> Source:
    """Grey 8x8 pixels [n h w] as a dataset; every tenth image is held out."""
    np.savez(folder / "set.npz", images=pixels)
    return Source.parse(f"folder:path={folder / 'set.npz'},resolution=8,mode=grey")


def plain(source: Source, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A double loop: one distance at a time, the first row wins a tie."""
    x0 = source.train.x0(slice(None)).double().numpy()
    rows, first, second = [], [], []
    for image in images.double().numpy():
        dist = [float(np.sqrt(np.square(image - row).sum())) for row in x0]
        best = min(range(len(dist)), key=dist.__getitem__)
        rows.append(best)
        first.append(dist[best])
        second.append(min([dist[i] for i in range(len(dist)) if i != best], default=np.inf))
    return torch.tensor(rows), torch.tensor(first).float(), torch.tensor(second).float()


def agree(got: tuple[Tensor, Tensor, Tensor], want: tuple[Tensor, Tensor, Tensor]) -> None:
    assert [part.dtype for part in got] == [torch.int64, torch.float32, torch.float32]
    assert got[0].tolist() == want[0].tolist()
    for ours, theirs in zip(got[1:], want[1:], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-12)


def queries(source: Source, seed: int = 0) -> Tensor:
    """Held-out images, noise, training images, and points half way between two: true ties."""
    x0 = source.train.x0(slice(None))
    wild = 3 * torch.randn(4, 64, generator=torch.Generator().manual_seed(seed))
    return torch.cat([source.held_out.x0(slice(0, 6)), wild, x0[5:9], (x0[10:14] + x0[20:24]) / 2])


@pytest.mark.parametrize("chunk", [1, 7, 100, 8192])
def test_equal_to_a_double_loop(chunk: int) -> None:
    source = Source.parse("digits", 300)
    images = queries(source)
    agree(finish(nearest_training(source, images, compute=Compute(images=chunk))), plain(source, images))


def test_memory_decides_only_the_chunks() -> None:
    source = Source.parse("digits")
    images = queries(source)
    want = finish(nearest_training(source, images))
    got = finish(nearest_training(source, images, compute=Compute(memory=40_000)))
    for ours, theirs in zip(got, want, strict=True):
        assert torch.equal(ours, theirs)
    with pytest.raises(TooLarge, match=r"Searching the training images needs 2\.01 KB; the budget is 2 KB\. Give at"):
        finish(nearest_training(source, images, compute=Compute(memory=2000)))


@pytest.mark.parametrize("copies", [2, 60])
def test_duplicates_are_at_distance_zero_and_the_first_is_named(tmp_path: Path, copies: int) -> None:
    """More copies than candidates are kept: the distances of that image are then taken one by one."""
    pixels = noise(1, 40, 8, 8)
    source = set_of(tmp_path, np.concatenate([pixels, np.repeat(pixels[3:4], copies, axis=0), noise(2, 9, 8, 8)]))
    x0 = source.train.x0(slice(None))
    copied = next(i for i in range(len(x0)) if (x0 == x0[i]).all(dim=1).sum() > 1)
    images = torch.cat([x0[copied : copied + 1], x0[:3], x0[copied : copied + 1] + 0.01])
    seen: list[Progress] = []
    got = finish(nearest_training(source, images), seen.append)
    agree(got, plain(source, images))
    assert (int(got[0][0]), float(got[1][0]), float(got[2][0])) == (copied, 0.0, 0.0)
    assert any("too close to call" in event.note for event in seen) == (copies == 60)


def test_far_queries_lose_no_digits(tmp_path: Path) -> None:
    """At 10^4 a float32 square has lost the differences of the images: the error bound sees it."""
    source = set_of(tmp_path, noise(3, 60, 8, 8))
    images = torch.cat([torch.full((1, 64), 1e4), torch.full((1, 64), -1e19)])
    got = finish(nearest_training(source, images))
    agree(got, plain(source, images))


def test_sets_of_one_and_two_images() -> None:
    for n in (1, 2):
        source = Source.parse("digits", n)
        images = source.held_out.x0(slice(0, 3))
        got = finish(nearest_training(source, images))
        agree(got, plain(source, images))
        assert bool(got[2].isinf().all()) == (n == 1)


def test_progress_counts_training_images() -> None:
    seen: list[Progress] = []
    source = Source.parse("digits", 300)
    finish(nearest_training(source, torch.zeros(1, 64), compute=Compute(images=100)), seen.append)
    assert [(event.done, event.total) for event in seen[:3]] == [(0, 300), (100, 300), (200, 300)]


@pytest.mark.parametrize(
    ("images", "error", "text"),
    [(torch.zeros(2, 63), BadInput, "Images of 63 values"), (torch.full((1, 64), torch.nan), NonFinite, "NaN")],
)
def test_bad_images_are_refused(images: Tensor, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        finish(nearest_training(Source.parse("digits"), images))
