"""AFHQ's cats: the real zip, the arithmetic of 32 pixels, and zips that are not the real one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from locality.datasets import DATASETS, Source, afhq_cats, ship_excerpt
from locality.datasets.afhq_cats import AfhqCats
from locality.datasets.parts import excerpt
from locality.errors import BadInput, DataUnavailable, DigestMismatch
from locality.store import Store
from locality.store.atomic import sha256_of
from tests.pictures import noise, pngs, write_zip

SIZES = [32, 64]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only data root, empty at first."""
    monkeypatch.setenv("LOCALITY_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "none"))
    return tmp_path


def made(root: Path, monkeypatch: pytest.MonkeyPatch, count: int = 7, held_out: int = 2) -> dict[str, bytes]:
    """A small zip that the code takes for the known one; its files by name."""
    files = pngs(count, 64, 64, 3, name="cat_{:06d}.png")
    path = write_zip(root / afhq_cats.ZIP, dict(reversed(files.items())))
    monkeypatch.setattr(afhq_cats, "_SIZE", path.stat().st_size)
    monkeypatch.setattr(afhq_cats, "_SHA256", sha256_of(path))
    monkeypatch.setattr(afhq_cats, "_COUNT", 7)
    monkeypatch.setattr(afhq_cats, "_HELD_OUT", held_out)
    return files


def test_the_last_names_are_held_out_and_pixels_are_kept(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(root, monkeypatch)
    spec = AfhqCats(resolution=64)
    train, test = spec.load("train"), spec.load("test")
    assert (len(train), len(test), spec.count("train"), spec.count("test")) == (5, 2, 5, 2)
    for i, row in enumerate([*train.data, *test.data]):
        assert np.array_equal(row.reshape(3, 64, 64).numpy(), noise(i, 64, 64, 3).transpose(2, 0, 1))


def test_at_32_pixels_every_value_is_the_mean_of_four_with_halves_to_even(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(root, monkeypatch)
    large, small = AfhqCats(resolution=64).load(), AfhqCats().load()
    blocks = large.data.reshape(-1, 3, 32, 2, 32, 2).double().numpy()
    assert np.array_equal(small.data.reshape(-1, 3, 32, 32).numpy(), np.rint(blocks.mean(axis=(3, 5))))


@pytest.mark.parametrize(
    ("four", "mean"), [((0, 0, 0, 1), 0), ((0, 0, 1, 1), 0), ((0, 1, 1, 1), 1), ((1, 1, 2, 2), 2), ((255,) * 4, 255)]
)
def test_quarters_round_to_the_nearest(four: tuple[int, ...], mean: int) -> None:
    pixels = np.array(four, np.uint8).reshape(1, 1, 2, 2)
    assert afhq_cats._halve(pixels).tolist() == [[[[mean]]]]


def test_a_zip_cut_short_is_incomplete(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(root, monkeypatch)
    path = root / afhq_cats.ZIP
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(BadInput, match=rf"incomplete: {len(whole) - 100:,} bytes, {len(whole):,} expected. Copy it"):
        AfhqCats().load()


def test_other_bytes_are_another_file(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(root, monkeypatch)
    path = root / afhq_cats.ZIP
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(DigestMismatch, match=r"has SHA-256 \w+, \w+ is known. .* folder:path=/.*afhq_cat_64\.zip"):
        AfhqCats().load()


def test_photographs_that_are_not_in_the_zip_are_noticed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(root, monkeypatch, count=6)
    with pytest.raises(BadInput, match="holds 6 photographs, 7 are expected"):
        AfhqCats().load()


def test_without_the_zip_it_says_how_to_get_afhq(root: Path) -> None:
    assert "StarGAN v2 project" in AfhqCats().missing()
    with pytest.raises(DataUnavailable, match=r"afhq_cat_64\.zip"):
        AfhqCats().load()


@pytest.mark.parametrize("size", SIZES)
def test_its_statistics_are_found_without_images(root: Path, size: int) -> None:
    source = Source.parse(f"afhq_cats:resolution={size}")
    assert source.fingerprint == afhq_cats._KNOWN[size]["train"]
    with pytest.raises(DataUnavailable):
        _ = Source.parse(f"afhq_cats:resolution={size}", first=100).fingerprint


@pytest.mark.parametrize("size", SIZES)
def test_the_eyes_lie_where_a_mirror_puts_them(size: int) -> None:
    left, right = AfhqCats(resolution=size).landmarks().values()
    assert left.row == right.row
    assert left.col + right.col == size - 1
    assert left.col < right.col


def test_an_excerpt_is_shipped_with_its_licence_and_serves_without_the_zip(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(root, monkeypatch, held_out=3)
    monkeypatch.setattr(AfhqCats, "excerpt", 2)
    store = Store(root / "local", root / "shipped")
    monkeypatch.setattr(excerpt, "default_store", lambda: store)
    source = Source.parse("afhq_cats")
    images = source.spec.load("test")
    path = ship_excerpt(source.spec, root / "shipped", "make it")
    assert path == root / "shipped/afhq_cats/held-out-32.safetensors"
    notice = (path.parent / "LICENSE").read_text()
    assert "CC BY-NC 4.0" in notice
    assert "NAVER" in notice
    (manifest,) = store.shipped("afhq_cats")
    assert manifest["about"]["licence"] == "CC BY-NC 4.0"
    (root / afhq_cats.ZIP).unlink()
    assert source.spec.count("test") == 2
    assert torch.equal(source.held_out.data, images.data[:2])
    assert source.shows_held_out
    assert not source.available
    assert not Source.parse("afhq_cats:resolution=64").shows_held_out
    assert not Source.parse("cifar10").shows_held_out
    with pytest.raises(DataUnavailable):
        source.spec.load("train")


def test_other_sets_ship_no_images(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="digits ships no images"):
        ship_excerpt(DATASETS.parse("digits"), tmp_path, "")


def test_what_is_made_from_the_set_names_its_licence() -> None:
    assert "source" not in Source.parse("digits").licence()
    credit = Source.parse("afhq_cats").licence()
    assert credit["licence"] == "CC BY-NC 4.0"
    assert credit["source"] == AfhqCats.info.source
    assert Source.parse("afhq_cats:resolution=64+blur:1").licence() == credit
    assert Source.parse("fashion_mnist+mix:dataset=afhq_cats").licence() == credit


def test_each_size_is_a_set_of_its_own() -> None:
    assert [Source.parse(f"afhq_cats:resolution={size}").text for size in SIZES] == [
        "afhq_cats",
        "afhq_cats:resolution=64",
    ]
    for size in SIZES:
        spec = AfhqCats(resolution=size)
        assert DATASETS.parse(spec.text()) == spec


def test_another_size_is_refused() -> None:
    with pytest.raises(BadInput, match="Choose one of: 32, 64"):
        DATASETS.parse("afhq_cats:resolution=48")
