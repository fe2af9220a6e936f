"""MNIST, Fashion-MNIST and CIFAR-10 files: the real ones, other packings of them, and damaged ones."""

from __future__ import annotations

import gzip
import hashlib
import os
import pickle  # noqa: TID251 - to write the pickles that must be refused
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from locality.datasets import DATASETS
from locality.datasets.cifar10 import Cifar10
from locality.datasets.mnist import Mnist
from locality.datasets.parts import idx as idx_files
from locality.datasets.parts.idx import read_idx
from locality.errors import BadInput, DataUnavailable, TooLarge
from tests.pictures import noise


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only data root, empty at first."""
    monkeypatch.setenv("LOCALITY_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "none"))
    return tmp_path


def real(name: str) -> Path:
    path = Path(os.environ.get("LOCALITY_DATA", "/not set")) / name
    if not path.exists():
        pytest.skip(f"the real {name} is not under LOCALITY_DATA")
    return path


# --- idx


def idx(pixels: np.ndarray, *, code: int = 8, sizes: tuple[int, ...] | None = None) -> bytes:
    shape = pixels.shape if sizes is None else sizes
    return bytes([0, 0, code, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + pixels.tobytes()


@pytest.mark.parametrize("shape", [(), (5,), (3, 28, 28)])
def test_idx_arrays_come_back(tmp_path: Path, shape: tuple[int, ...]) -> None:
    pixels = noise(1, *shape)
    for name, raw in (("a", idx(pixels)), ("a.gz", gzip.compress(idx(pixels)))):
        (tmp_path / name).write_bytes(raw)
        assert torch.equal(read_idx(tmp_path / name), torch.from_numpy(np.asarray(pixels)))


GOOD = idx(noise(2, 4, 28, 28))


@pytest.mark.parametrize(
    ("name", "raw", "message"),
    [
        ("a", b"", "is not an IDX file of bytes"),
        ("a", b"GIF89a and more", "is not an IDX file of bytes"),
        ("a", idx(noise(2, 4), code=13), "is not an IDX file of bytes"),
        ("a", GOOD[:-1], "is cut short or damaged: 3135 bytes, 3136 expected"),
        ("a", GOOD + b"x", "is cut short or damaged: 3137 bytes, 3136 expected"),
        ("a", GOOD[:9], "is cut short or damaged"),
        ("a", idx(noise(2, 4), sizes=(2**32 - 1,) * 3), "is cut short or damaged"),
        ("a.gz", gzip.compress(GOOD)[:-20], "cannot be read"),
        ("a.gz", gzip.compress(GOOD)[:40] + bytes(40) + gzip.compress(GOOD)[80:], "cannot be read"),
        ("a.gz", GOOD, "cannot be read"),
    ],
    ids=["empty", "gif", "floats", "short", "long", "header only", "huge claim", "cut gz", "damaged gz", "not gz"],
)
def test_damaged_idx_files_are_refused(tmp_path: Path, name: str, raw: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(BadInput, match=message):
        read_idx(tmp_path / name)


def test_an_idx_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idx_files, "_MOST", 1000)
    (tmp_path / "a.gz").write_bytes(gzip.compress(GOOD))
    with pytest.raises(TooLarge, match=r"a\.gz needs .* the budget is 1 KB"):
        read_idx(tmp_path / "a.gz")


def write_mnist(root: Path, images: np.ndarray, labels: np.ndarray) -> None:
    (root / "MNIST/raw").mkdir(parents=True)
    for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
        (root / f"MNIST/raw/train-{kind}-ubyte").write_bytes(idx(array))


def test_images_and_labels_must_agree(root: Path) -> None:
    write_mnist(root, noise(1, 4, 28, 28), noise(2, 3))
    with pytest.raises(BadInput, match=r"has 4 images but \(3,\) labels"):
        Mnist().load()


def test_images_of_another_size_are_refused(root: Path) -> None:
    write_mnist(root, noise(1, 4, 32, 32), noise(2, 4))
    with pytest.raises(BadInput, match=r"holds arrays of shape \(4, 32, 32\), not 28x28 images"):
        Mnist().load()


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_the_real_files_have_the_published_digests(name: str) -> None:
    plan = DATASETS[name]().download()
    assert plan is not None
    folder = real(plan.folder)
    for file in plan.files:
        assert hashlib.md5(gzip.decompress((folder / file.name).read_bytes())).hexdigest() == file.plain_md5


# --- CIFAR-10, binary


def test_the_real_batches_are_records_of_a_label_and_three_planes() -> None:
    folder = real("cifar-10-batches-bin")
    data = Cifar10().load()
    for n in (0, 1, 9_999, 10_000, 49_999):  # first and last of files
        batch, row = divmod(n, 10_000)
        with (folder / f"data_batch_{batch + 1}.bin").open("rb") as file:
            file.seek(row * 3073)
            record = file.read(3073)
        assert data.labels[n] == record[0]
        assert data.data[n].numpy().tobytes() == record[1:]
    assert data.labels.bincount().tolist() == [5000] * 10


def test_the_real_batches_have_the_published_digests() -> None:
    folder = real("cifar-10-batches-bin")
    plan = Cifar10().download()
    assert plan is not None
    for name, md5 in plan.files[0].members[:5]:
        assert hashlib.md5((folder / name).read_bytes()).hexdigest() == md5


def write_batches(root: Path, write: Callable[[Path, int], None], folder: str, end: str) -> None:
    (root / folder).mkdir(parents=True)
    for i in range(1, 6):
        write(root / folder / f"data_batch_{i}{end}", i)


@pytest.mark.parametrize("size", [0, 3073 * 9_999, 3073 * 10_000 - 1, 3073 * 10_000 + 1])
def test_batches_of_another_length_are_refused(root: Path, size: int) -> None:
    def write(path: Path, i: int) -> None:
        with path.open("wb") as file:
            file.truncate(size if i == 3 else 3073 * 10_000)  # holes: no disk is used

    write_batches(root, write, "cifar-10-batches-bin", ".bin")
    with pytest.raises(BadInput, match=f"data_batch_3.bin is cut short or damaged: {size} bytes, 30730000 expected"):
        Cifar10().load()


def test_one_missing_batch_is_missing_data(root: Path) -> None:
    write_batches(root, lambda path, _: path.write_bytes(b""), "cifar-10-batches-bin", ".bin")
    (root / "cifar-10-batches-bin/data_batch_2.bin").unlink()
    assert "download cifar10" in Cifar10().missing()
    with pytest.raises(DataUnavailable, match="The cifar10 train images are not on this machine"):
        Cifar10().load()


def test_the_full_test_batch_is_preferred_to_its_excerpt(root: Path) -> None:
    (root / "cifar10").mkdir()
    (root / "cifar10/test_batch_first1000.bin").write_bytes(bytes(3073 * 1000))
    assert (Cifar10().count("test"), len(Cifar10().load("test"))) == (1000, 1000)
    (root / "cifar10/test_batch.bin").write_bytes(bytes(3073 * 10_000))
    assert (Cifar10().count("test"), len(Cifar10().load("test"))) == (10_000, 10_000)


# --- CIFAR-10, python batches: pickles, so nothing in them may run


def python2_batch(pixels: np.ndarray, labels: list[int]) -> bytes:
    """A batch byte for byte in the form the official ones have: protocol 2, written by Python 2."""

    def text(raw: bytes) -> bytes:
        return b"U" + bytes([len(raw)]) + raw if len(raw) < 256 else b"T" + struct.pack("<i", len(raw)) + raw

    def number(value: int) -> bytes:
        return b"J" + struct.pack("<i", value)

    dtype = b"cnumpy\ndtype\n" + text(b"u1") + number(0) + number(1) + b"\x87R"
    dtype += b"(" + number(3) + text(b"|") + b"NNN" + number(-1) + number(-1) + number(0) + b"tb"
    shape = b"".join(number(size) for size in pixels.shape) + (b"\x86" if pixels.ndim == 2 else b"\x85")
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n" + number(0) + b"\x85" + text(b"b") + b"\x87R"
    array += b"(" + number(1) + shape + dtype + b"\x89" + text(pixels.tobytes()) + b"tb"
    marks = b"](" + b"".join(number(label) for label in labels) + b"e"
    items = text(b"batch_label") + text(b"training batch") + text(b"labels") + marks + text(b"data") + array
    return b"\x80\x02}(" + items + b"u."


def test_the_imitation_is_a_pickle_that_python_reads() -> None:
    # Our own bytes: that plain pickle agrees shows that the tests below read the true format.
    pixels, labels = noise(1, 2, 3072), [3, 7]
    batch = pickle.loads(python2_batch(pixels, labels), encoding="bytes")
    assert batch[b"labels"] == labels
    assert np.array_equal(batch[b"data"], pixels)


def test_python_batches_are_the_same_images(root: Path) -> None:
    pixels, labels = noise(1, 5, 10_000, 3072), noise(2, 5, 10_000) % 10

    def write(path: Path, i: int) -> None:
        path.write_bytes(python2_batch(pixels[i - 1], labels[i - 1].tolist()))

    write_batches(root, write, "cifar-10-batches-py", "")
    data = Cifar10().load()
    assert torch.equal(data.data, torch.from_numpy(pixels.reshape(50_000, 3072)))
    assert torch.equal(data.labels, torch.from_numpy(labels.reshape(-1)).long())


class Evil:
    """A pickle that would make a file when opened."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return open, (str(self.path), "w")


FEW = python2_batch(noise(1, 2, 3072), [3, 7])


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (pickle.dumps({b"data": np.zeros(3, "O"), b"labels": [print]}), "it asks for builtins.print"),
        (pickle.dumps({b"data": (1, 2), b"labels": []}), "no array of pixels"),
        (FEW, r"pixels have the shape \(2, 3072\), \(10000, 3072\) expected"),
        (FEW[:200], "is not a python batch of CIFAR-10"),
        (FEW.replace(b"U\x02u1", b"U\x02i1"), "pixels are not rows of bytes"),
        (FEW.replace(b"cnumpy\ndtype", b"cposix\nsystem"), "it asks for posix.system"),
        (FEW.replace(b"cnumpy\ndtype", b"cnumpy\nfromfile"), "it asks for numpy.fromfile"),
        (b"", "is not a python batch"),
        (b"\x80\x02}.", "is not a python batch"),
        (b"\x80\x02Pelsewhere\n.", "it refers to objects outside the file"),
        (b"\x80\x02U\x01aQ.", "it refers to objects outside the file"),
        (b"\x80\x02\x82\x01.", "is not a python batch"),
        (b"hello", "is not a python batch"),
    ],
)
def test_pickles_that_are_no_batches_are_refused(root: Path, raw: bytes, message: str) -> None:
    write_batches(root, lambda path, _: path.write_bytes(raw), "cifar-10-batches-py", "")
    with pytest.raises(BadInput, match=message) as caught:
        Cifar10().load()
    assert str(caught.value).startswith("data_batch_1 ")


def test_a_malicious_pickle_is_refused_and_nothing_of_it_runs(root: Path) -> None:
    raw = pickle.dumps({b"data": Evil(root / "owned"), b"labels": []})
    write_batches(root, lambda path, _: path.write_bytes(raw), "cifar-10-batches-py", "")
    with pytest.raises(BadInput, match=r"it asks for (_?io|builtins)\.open, which a CIFAR-10 batch never does"):
        Cifar10().load()
    assert not (root / "owned").exists()
