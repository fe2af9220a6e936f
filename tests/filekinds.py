"""The kinds of files that people have their images in: how each is written, and what must become of it."""

from __future__ import annotations

import io
import json
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from tests.pictures import encode, noise, write_folder, write_zip

N, SIDE = 12, 8
IMAGES = noise(1, N, SIDE, SIDE, 3)
GREY = noise(2, N, SIDE, SIDE)
LEARNT = [i for i in range(N) if i % 10]
LABELS = np.arange(N) % 3
FILES = {f"{i:02d}.png": encode(image) for i, image in enumerate(IMAGES)}
_HEIC = b"\x00\x00\x00\x18ftypheic" + bytes(40)


@dataclass(frozen=True)
class Kind:
    """`write` makes it in an empty folder and returns the options of `folder`; what is left empty is not looked at.

    `pixels`: those of the training images, [n h w 3] or [n h w], uint8 or float32; `note` is part of what is said;
    `refused` of the message where it is not read.
    """

    name: str
    write: Callable[[Path], str]
    pixels: NDArray[Any] | None = None
    labels: NDArray[Any] | None = None
    note: str = ""
    refused: str = ""
    near: float = 0.0  # how far a pixel may be off, in grey levels


def path_of(path: Path, **options: object) -> str:
    """Options of `folder` for 8 x 8 pixels."""
    return ",".join([f"path=({path})", f"resolution={SIDE}", *(f"{name}={value}" for name, value in options.items())])


def folder(files: Mapping[str, bytes], **options: object) -> Callable[[Path], str]:
    return lambda at: path_of(write_folder(at / "set", files), **options)


def zipped(files: Mapping[str, bytes], name: str = "set.zip", **options: object) -> Callable[[Path], str]:
    return lambda at: path_of(write_zip(at / name, files), **options)


def one(name: str, raw: bytes, **options: object) -> Callable[[Path], str]:
    def write(at: Path) -> str:
        (at / name).write_bytes(raw)
        return path_of(at / name, **options)

    return write


def npz(arrays: Mapping[str, NDArray[Any]], name: str = "set.npz", **options: object) -> Callable[[Path], str]:
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)
    return one(name, out.getvalue(), **options)


def _saved(array: NDArray[Any]) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def npy(array: NDArray[Any], **options: object) -> Callable[[Path], str]:
    return one("set.npy", _saved(array), **options)


def _zip_bytes() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        for name, raw in {**FILES, "ü.png": FILES["00.png"]}.items():
            packed.writestr(name, raw)
    return out.getvalue()


def tar(files: Mapping[str, bytes], mode: str = "w") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as packed:
        for name, raw in files.items():
            about = tarfile.TarInfo(name)
            about.size = len(raw)
            packed.addfile(about, io.BytesIO(raw))
    return out.getvalue()


def parquet(columns: Mapping[str, Any], features: Mapping[str, Any] | None = None, **options: Any) -> bytes:
    table = pa.table(dict(columns))
    if features is not None:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    out = io.BytesIO()
    pq.write_table(table, out, **options)
    return out.getvalue()


def png16(pixels: NDArray[np.uint16]) -> bytes:
    """A PNG of 16 bits per channel, grey [h w] or colour [h w 3], which Pillow does not write."""
    h, w = pixels.shape[:2]
    kind = 2 if pixels.ndim == 3 else 0
    rows = b"".join(b"\0" + pixels[i].astype(">u2").tobytes() for i in range(h))
    chunks = {b"IHDR": struct.pack(">IIBBBBB", w, h, 16, kind, 0, 0, 0), b"IDAT": zlib.compress(rows), b"IEND": b""}
    body = (struct.pack(">I", len(raw)) + k + raw + struct.pack(">I", zlib.crc32(k + raw)) for k, raw in chunks.items())
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def animated(first: NDArray[np.uint8]) -> bytes:
    out = io.BytesIO()
    frames = [Image.fromarray(first), Image.fromarray(255 - first)]
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    return out.getvalue()


def _links(at: Path) -> str:
    write_folder(at / "elsewhere", FILES)
    (at / "set").mkdir()
    (at / "set" / "linked").symlink_to(at / "elsewhere")
    (at / "set" / "back").symlink_to(at / "set")
    (at / "set" / "dead.png").symlink_to(at / "nowhere")
    return path_of(at / "set")


def _linked_splits(at: Path) -> str:
    (at / "set").mkdir()
    for split, rows in {"train": range(1, N), "test": range(1)}.items():
        write_folder(at / split, {f"{'ab'[i % 2]}/{i:02d}.png": encode(IMAGES[i]) for i in rows})
        (at / "set" / split).symlink_to(at / split)
    return path_of(at / "set")


def _web(at: Path) -> str:
    for k in range(2):
        samples: dict[str, bytes] = {}
        for i in range(6 * k, 6 * k + 6):
            samples |= {f"{i:06d}.png": FILES[f"{i:02d}.png"], f"{i:06d}.cls": str(LABELS[i]).encode()}
        write_folder(at / "set", {f"part-{k:06d}.tar": tar(samples)})
    return path_of(at / "set")


def _hugging_face(at: Path) -> str:
    rows = [{"bytes": raw, "path": name} for name, raw in FILES.items()]
    features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": ["a", "b", "c"]}}
    for split, some in {"train": slice(0, 10), "test": slice(10, 12)}.items():
        raw = parquet({"image": rows[some], "label": LABELS[some]}, features, row_group_size=4)
        write_folder(at / "set" / "data", {f"{split}-00000-of-00001.parquet": raw})
    return path_of(at / "set")


_PEOPLE = {
    "train_images": IMAGES[:8], "train_labels": LABELS[:8, None],
    "val_images": IMAGES[8:10], "val_labels": LABELS[8:10, None],
    "test_images": IMAGES[10:], "test_labels": LABELS[10:, None],
}  # fmt: skip
_KERAS = {"x_train": GREY[:9], "y_train": LABELS[:9], "x_test": GREY[9:], "y_test": LABELS[9:]}
_RGBA = np.concatenate([IMAGES, np.full((N, SIDE, SIDE, 1), 255, np.uint8)], axis=3)
_RGBA[:, 0, :, 3] = 0
_WHITE_TOP = IMAGES.copy()
_WHITE_TOP[:, 0] = 255
_TWELVE = noise(3, N, SIDE, SIDE).astype(np.uint16) * 16 + 15
_TWELVE_BITS = np.rint(_TWELVE / 4095 * 255).astype(np.uint8)
_FLOAT = np.random.Generator(np.random.PCG64(4)).random((N, SIDE, SIDE)).astype(np.float32)
_CLASSES = {f"{'abc'[i % 3]}/{i:02d}.png": encode(IMAGES[i]) for i in range(N)}
_BY_CLASS = sorted(range(N), key=lambda i: (i % 3, i))
_AVIF = {f"{i:02d}.avif": encode(image, "AVIF", quality=100, subsampling="4:4:4") for i, image in enumerate(IMAGES)}
_JFIF = {f"{i:02d}.jfif": encode(np.full((8, 8, 3), 20 * i, np.uint8), "JPEG") for i in range(N)}
_FLAT = np.stack([np.full((8, 8, 3), 20 * i, np.uint8) for i in range(N)])


def _cut_zip(at: Path) -> str:
    path = write_zip(at / "set.zip", FILES)
    path.write_bytes(path.read_bytes()[:-200])
    return path_of(path)


def _held_out(at: Path) -> str:
    return path_of(write_folder(at / "set", {**FILES, "10.png": b""}))


def _bomb(at: Path) -> str:
    import gzip

    head = tarfile.TarInfo("00.png")
    head.size = 2 * 10**9
    with gzip.open(at / "set.tar.gz", "wb", compresslevel=9) as out:
        out.write(head.tobuf())
        for _ in range(700):
            out.write(bytes(1 << 20))
    return path_of(at / "set.tar.gz")


_TRAIN = IMAGES[LEARNT]
_TRUE = np.arange(N * SIDE * SIDE).reshape(N, SIDE, SIDE) % 5 == np.arange(N)[:, None, None] % 5

KINDS = [
    # read, as they are
    Kind("folder of PNG", folder(FILES), _TRAIN),
    Kind("zip in class folders", zipped(_CLASSES), IMAGES[_BY_CLASS][LEARNT], LABELS[_BY_CLASS][LEARNT]),
    Kind("tar", one("set.tar", tar(FILES)), _TRAIN),
    Kind(
        "tar.gz in class folders",
        one("set.tar.gz", tar(_CLASSES, "w:gz")),
        IMAGES[_BY_CLASS][LEARNT],
        LABELS[_BY_CLASS][LEARNT],
    ),
    Kind("tar.xz with another ending", one("set.dat", tar(FILES, "w:xz")), _TRAIN),
    Kind("WebDataset, two shards with .cls", _web, _TRAIN, LABELS[LEARNT]),
    Kind("Hugging Face parquet, train and test shards", _hugging_face, IMAGES[:10], LABELS[:10]),
    Kind(
        "parquet of bytes",
        one("set.parquet", parquet({"img": list(FILES.values()), "y": list("abc" * 4), "id": range(N)})),
        _TRAIN,
        LABELS[LEARNT],
        note="Columns not read: id",
    ),
    Kind(
        "folder reached by links, one of them a loop, one dead",
        _links,
        _TRAIN,
        note="1 link to a folder above it (back)",
    ),
    Kind(
        "linked train and test with classes",
        _linked_splits,
        IMAGES[[i for k in range(2) for i in range(1, N) if i % 2 == k]],
        np.array([i % 2 for k in range(2) for i in range(1, N) if i % 2 == k]),
    ),
    Kind("UPPER.NPZ", npz({"images": IMAGES}, "UPPER.NPZ"), _TRAIN),
    Kind("npy", npy(IMAGES), _TRAIN),
    Kind("npy, NCHW", npy(IMAGES.transpose(0, 3, 1, 2)), _TRAIN),
    Kind("npz with labels", npz({"images": IMAGES, "labels": LABELS}), _TRAIN, LABELS[LEARNT]),
    Kind("npz with one-hot labels", npz({"images": IMAGES, "labels": np.eye(3)[LABELS]}), _TRAIN, LABELS[LEARNT]),
    Kind(
        "npz, key=", npz({"images": IMAGES[::-1], "mine": IMAGES}, key="mine"), _TRAIN, note="Arrays not read: images."
    ),
    Kind("Keras mnist.npz", npz(_KERAS, "mnist.npz", mode="grey"), GREY[:9], LABELS[:9]),
    Kind("MedMNIST, three splits", npz(_PEOPLE, "pathmnist.npz"), IMAGES[:8], LABELS[:8]),
    Kind("npz, RGBA over white", npz({"images": _RGBA}), _WHITE_TOP[LEARNT]),
    Kind("npz, RGBA as NCHW", npz({"images": _RGBA.transpose(0, 3, 1, 2)}), _WHITE_TOP[LEARNT]),
    Kind("npz, bool", npz({"images": _TRUE}, mode="grey"), (_TRUE * np.uint8(255))[LEARNT]),
    Kind("npz, int64 in 0..255", npz({"images": GREY.astype(np.int64)}, mode="grey"), GREY[LEARNT]),
    Kind("npz, uint16", npz({"images": GREY.astype(np.uint16) * 257}, mode="grey"), GREY[LEARNT]),
    Kind("npz, 8 bits as floats in [0, 1]", npz({"images": (IMAGES / 255).astype(np.float32)}), _TRAIN),
    Kind("npz, 8 bits as floats in [-1, 1]", npz({"images": (IMAGES / 127.5 - 1).astype(np.float32)}), _TRAIN),
    Kind("npz, 8 bits as float16", npz({"images": (IMAGES / 255).astype(np.float16)}), _TRAIN),
    Kind(
        "npz, floats in [0, 1]",
        npz({"images": _FLOAT}, mode="grey"),
        2 * _FLOAT[LEARNT] - 1,
        near=2e-7,
        note="The values are floats and kept: 0 is black and 1 white",
    ),
    Kind(
        "npz, floats of a range of their own",
        npz({"images": _FLOAT * 50 + 7}, mode="grey", values="float:7..57"),
        2 * _FLOAT[LEARNT] - 1,
        near=1e-6,
    ),
    Kind(
        "TIFF of floats",
        folder({f"{i:02d}.tif": encode(x, "TIFF") for i, x in enumerate(_FLOAT)}, mode="grey", values="float:0..1"),
        2 * _FLOAT[LEARNT] - 1,
        near=2e-7,
    ),
    Kind(
        "TIFF of floats, rounded",
        folder({f"{i:02d}.tif": encode(x, "TIFF") for i, x in enumerate(_FLOAT)}, mode="grey", values="0..1"),
        np.rint(_FLOAT[LEARNT] * 255).astype(np.uint8),
    ),
    Kind(
        "12 bits in 16-bit PNG",
        folder({f"{i:02d}.png": png16(x) for i, x in enumerate(_TWELVE)}, mode="grey"),
        np.rint(_TWELVE[LEARNT] / 257).astype(np.uint8),
        note="look like 12 bits and are dark as they are read. values=0..4095",
    ),
    Kind(
        "12 bits in 16-bit PNG, values=0..4095",
        folder({f"{i:02d}.png": png16(x) for i, x in enumerate(_TWELVE)}, mode="grey", values="0..4095"),
        _TWELVE_BITS[LEARNT],
    ),
    Kind(
        "16-bit colour PNG",
        folder({f"{i:02d}.png": png16(x.astype(np.uint16) * 257) for i, x in enumerate(IMAGES)}),
        _TRAIN,
    ),
    Kind(
        "12 bits in 16-bit colour PNG, values=0..4095",
        folder({f"{i:02d}.png": png16(np.stack([x] * 3, axis=2)) for i, x in enumerate(_TWELVE)}, values="0..4095"),
        np.stack([_TWELVE_BITS[LEARNT]] * 3, axis=3),
    ),
    Kind(
        "12-bit PGM",
        folder(
            {f"{i:02d}.pgm": b"P5 8 8 4095\n" + x.astype(">u2").tobytes() for i, x in enumerate(_TWELVE)}, mode="grey"
        ),
        _TWELVE_BITS[LEARNT],
        near=1,
    ),
    Kind(".jfif", folder(_JFIF), _FLAT[LEARNT], near=1),
    Kind("AVIF", folder(_AVIF), _TRAIN, near=12),
    Kind(
        "animated GIF",
        folder({f"{i:02d}.gif": animated(x) for i, x in enumerate(GREY)}, mode="grey"),
        GREY[LEARNT],
        note="12 files of several images (frames or pages): the first of each is read",
    ),
    # read, and something said
    Kind(
        "PNG and HEIC in a folder",
        folder({**FILES, **{f"{i}.heic": _HEIC for i in range(10)}}),
        _TRAIN,
        note="10 files not read: 10 .heic (0.heic, 1.heic, 2.heic and 7 more). HEIC is not read: convert it",
    ),
    Kind(
        "images, a table and notes",
        zipped({**FILES, "a.csv": b"x", "b.csv": b"y", "README": b"z"}),
        _TRAIN,
        note="3 files not read: 2 .csv, 1 no ending (README, a.csv, b.csv).",
    ),
    Kind(
        "npz, [h, w, n]",
        npz({"images": noise(5, SIDE, SIDE, 40)}),
        note="read as 8 images of 8 x 40 pixels. If it holds 40 images of 8 x 8, save np.moveaxis(array, -1, 0).",
    ),
    Kind(
        "npz of 0 and 1 as uint8",
        npz({"images": _TRUE.astype(np.uint8)}),
        note="The largest value of all images is 1 of 255",
    ),
    Kind(
        "npz with labels of several classes at once",
        npz({"images": IMAGES, "labels": np.ones((N, 3))}),
        _TRAIN,
        note="is not one class an image and is left out",
    ),
    Kind(
        "parquet with labels that are held back",
        one("set.parquet", parquet({"image": list(FILES.values()), "label": [1, 0] * 5 + [-1, -1]})),
        _TRAIN,
        note="2 of 12 rows have no label: labels are left out.",
    ),
    Kind(
        "npz with labels of one split",
        npz({name: _KERAS[name] for name in ("x_train", "y_train", "x_test")}, mode="grey"),
        GREY[:9],
        note="Only some of the splits have labels: they are left out.",
    ),
    # refused, and what to do
    Kind("empty image in the held-out tenth", _held_out, refused="10.png is not a readable image (it is empty)"),
    Kind(
        "HEIC only",
        folder({"0.heic": _HEIC}),
        refused="HEIC is not read: convert it, `magick mogrify -format png *.heic`",
    ),
    Kind("HEIC named .jpg", folder({**FILES, "05.jpg": _HEIC}), refused="05.jpg holds a HEIC image"),
    Kind(
        "a single image", one("cat.png", FILES["00.png"]), refused="cat.png is one image. Give the folder that holds it"
    ),
    Kind("zip cut short", _cut_zip, refused="set.zip is cut short or damaged"),
    Kind("tar cut short", one("set.tar", tar(FILES)[:5000]), refused="set.tar is cut short or damaged"),
    Kind(
        "tar.gz cut short", one("set.tar.gz", tar(FILES, "w:gz")[:1500]), refused="set.tar.gz is cut short or damaged"
    ),
    Kind("tar bomb", _bomb, refused="set.tar.gz unpacked needs"),
    Kind(
        "tar whose names leave it",
        one("set.tar", tar({**FILES, "../x.png": b""})),
        refused="the name '../x.png' in it leaves",
    ),
    Kind(
        "parquet without images",
        one("set.parquet", parquet({"a": [1, 2], "text": ["x", "y"]})),
        refused="set.parquet has no column of images: its columns are a, text.",
    ),
    Kind(
        "parquet of paths",
        one(
            "set.parquet",
            parquet({"image": [{"bytes": None, "path": f"{i}.png"} for i in range(N)]}, {"image": {"_type": "Image"}}),
        ),
        refused="has no image in it, only the path 0.png",
    ),
    Kind(
        "parquet cut short",
        one("set.parquet", parquet({"image": list(FILES.values())})[:900]),
        refused="set.parquet is cut short or damaged",
    ),
    Kind(
        "mislabelled npz: text",
        one("set.npz", b"not an archive"),
        refused="set.npz is not a readable npz by its first bytes",
    ),
    Kind("mislabelled npz: a zip of images", zipped(FILES, "set.npz"), _TRAIN),
    Kind(
        "npz with too few labels",
        npz({"images": IMAGES, "labels": LABELS[:5]}),
        refused="labels.npy in set.npz holds 5 labels for 12 images",
    ),
    Kind("npz without the key", npz({"images": IMAGES}, key="x"), refused="key=x: set.npz has the arrays images."),
    Kind(
        "npz, floats of unknown range", npz({"images": _FLOAT * 50 + 7}), refused="Say which values are black and white"
    ),
    Kind("npz with NaN", npz({"images": np.where(_FLOAT > 0.99, np.nan, _FLOAT)}), refused="holds NaN or infinity"),
    Kind("npz, rows without a form", npz({"x": np.zeros((N, 784), np.uint8)}), refused="array.reshape(-1, 28, 28)"),
    Kind(
        "npz, one image",
        npz({"x": np.zeros((N, 9, 3), np.uint8)}),
        refused="looks like one image. A set is [n, h, w, 3]",
    ),
    Kind("npz, [h, w, c, n]", npz({"x": np.zeros((32, 32, 3, 90), np.uint8)}), refused="looks like [h, w, c, n]"),
    Kind(
        "HDF5", one("set.h5", b"\x89HDF\r\n\x1a\n" + bytes(600)), refused="set.h5 is HDF5. Save its images as an array"
    ),
    Kind(
        "a bare CIFAR batch",
        one("data_batch_1", b"\x80\x02}q\x01" + bytes(600)),
        refused="is a pickle, which may run code",
    ),
    Kind(
        "TIFF of floats without a range",
        folder({f"{i:02d}.tif": encode(x, "TIFF") for i, x in enumerate(_FLOAT)}),
        refused="values=float:0..1 keeps them as they are",
    ),
    Kind(
        "npy with a damaged header",
        one("set.npy", _saved(IMAGES).replace(b", 'fortran", b",]'fortran", 1)),
        refused="set.npy is not a readable npy",
    ),
    Kind(
        "zip whose index is damaged",
        one("set.zip", _zip_bytes().replace(b"PK\x01\x02", b"PK\x01\x02\xff\xff\xff\xff", 1)),
        refused="set.zip is cut short or damaged",
    ),
    Kind(
        "zip with another name inside",
        one("set.zip", _zip_bytes().replace("ü.png".encode(), b"\x89" * 6, 1)),
        refused="ü.png in set.zip cannot be read (",
    ),
    Kind("an empty file", one("set.zip", b""), refused="set.zip is empty"),
]
