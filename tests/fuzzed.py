"""What `tests.fuzz` damages: good files and texts of every kind the program reads, and the readers."""

from __future__ import annotations

import importlib.util
import io
import json
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save

from locality.datasets import Source
from locality.edits import parse_chain
from locality.errors import BadInput
from locality.grammar import read_list
from locality.networks import (
    MANIFEST,
    NETWORKS,
    WEIGHTS,
    NetworkDenoiser,
    load_checkpoint,
    load_network,
    read_checkpoint,
    save_network,
)
from locality.store import Artifact, Store
from locality.store.artifact import decode, encode
from locality.studies import find_model
from locality.studies.training.journal import LOG, NOW, read_log, read_progress
from locality.studies.training.preview import PREVIEW, read_preview
from locality.types import ImageShape
from pages._ui.bench.run import _parsed
from pages._ui.train.plan import PLAN, load_plan
from tests.pictures import noise, pngs, write_folder

SHAPE = ImageShape(1, 8, 8)


@dataclass(frozen=True)
class Target:
    """A reader: it is given damaged bytes and an empty folder, and raises LocalityError or nothing.

    `text`: built from words, not from bytes; `cost`: how much longer than others it takes.
    """

    name: str
    seeds: list[bytes]
    read: Callable[[bytes, Path], None]
    text: bool = False
    cost: int = 1


def _folder(name: str) -> Callable[[bytes, Path], None]:
    """The reader of a file of this name with images in it."""

    def read(raw: bytes, folder: Path) -> None:
        (folder / name).write_bytes(raw)
        source = Source.parse(f"folder:path={folder / name},resolution=8")
        source.train  # noqa: B018
        source.held_out  # noqa: B018

    return read


def _image(raw: bytes, folder: Path) -> None:
    place = folder / "images"
    if not place.exists():
        write_folder(place, pngs(10, 8, 8, 3))
    (place / "z.png").write_bytes(raw)  # Pillow goes by content, and so do we
    Source.parse(f"folder:path={place},resolution=8").train  # noqa: B018


def _images() -> list[bytes]:
    picture, seeds = Image.fromarray(noise(0, 12, 16, 3)), []
    grey, alpha = picture.convert("L"), picture.convert("RGBA")
    forms: list[tuple[Image.Image, str, dict[str, Any]]] = [
        (picture, "PNG", {}), (grey, "PNG", {}), (alpha, "PNG", {}), (picture.convert("P"), "PNG", {}),
        (Image.fromarray(noise(1, 12, 16).astype(np.uint16) * 257), "PNG", {}), (picture, "JPEG", {}),
        (picture.convert("CMYK"), "JPEG", {}), (picture, "JPEG", {"progressive": True}), (picture, "WEBP", {}),
        (alpha, "WEBP", {"lossless": True}), (picture, "BMP", {}), (picture.convert("P"), "GIF", {}),
        (picture, "GIF", {"save_all": True, "append_images": [picture.rotate(90)]}), (picture, "TIFF", {}),
        (picture, "TIFF", {"compression": "tiff_lzw"}), (picture, "TIFF", {"compression": "jpeg"}),
        (picture, "PPM", {}),
    ]  # fmt: skip
    for image, kind, options in forms:
        out = io.BytesIO()
        image.save(out, kind, **options)
        seeds.append(out.getvalue())
    turned, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    picture.save(turned, "JPEG", exif=exif)
    return [*seeds, turned.getvalue()]


def _zips() -> list[bytes]:
    files = {**pngs(10, 8, 8, 3, name="a/{}.png"), "dataset.json": json.dumps({"labels": [["a/1.png", 1]]}).encode()}
    return [_zip(files, zipfile.ZIP_STORED), _zip(files, zipfile.ZIP_DEFLATED)]


def _zip(files: dict[str, bytes], method: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, raw in files.items():
            archive.writestr(zipfile.ZipInfo(name), raw, method)
    return out.getvalue()


def _npzs() -> list[bytes]:
    made = []
    for save_as in (np.savez, np.savez_compressed):
        for arrays in ({"images": noise(0, 12, 8, 8, 3)}, {"x_train": noise(0, 12, 8, 8), "x_test": noise(1, 4, 8, 8)}):
            out = io.BytesIO()
            save_as(out, **arrays)
            made.append(out.getvalue())
    return made


def _npys() -> list[bytes]:
    made = []
    for array in (noise(0, 12, 8, 8, 3), noise(0, 12, 8, 8), noise(0, 12, 8, 8).astype(np.float32) / 255):
        out = io.BytesIO()
        np.save(out, array)
        made.append(out.getvalue())
    return made


def _tars() -> list[bytes]:
    made = []
    for mode in ("w", "w:gz"):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode=mode) as archive:  # type: ignore[call-overload]
            for name, raw in pngs(10, 8, 8, 3).items():
                entry = tarfile.TarInfo(name)
                entry.size = len(raw)
                archive.addfile(entry, io.BytesIO(raw))
        made.append(out.getvalue())
    return made


def _parquets() -> list[bytes]:
    import pyarrow
    import pyarrow.parquet

    rows = [{"bytes": raw, "path": name} for name, raw in pngs(10, 8, 8, 3).items()]
    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"image": rows, "label": [i % 2 for i in range(10)]}), out)
    return [out.getvalue()]


def _network() -> Path:
    """A small trained network, written once."""
    folder = Path(tempfile.gettempdir()) / f"locality-fuzzed-{torch.initial_seed()}"
    if not (folder / MANIFEST).exists():
        spec = NETWORKS.parse("mlp:width=32,depth=1")
        save_network(folder, NetworkDenoiser(spec.build(SHAPE), spec, SHAPE), {"dataset": "digits"})
    return folder


def _weights(raw: bytes, folder: Path) -> None:
    _whole_network(folder, WEIGHTS, raw)


def _manifest(raw: bytes, folder: Path) -> None:
    _whole_network(folder, MANIFEST, raw)


def _whole_network(folder: Path, name: str, raw: bytes) -> None:
    shutil.copytree(_network(), folder / "net", dirs_exist_ok=True)
    (folder / "net" / name).write_bytes(raw)
    place, manifest = read_checkpoint(folder / "net", SHAPE)
    load_checkpoint(place, manifest)
    load_network(folder / "net")


def _state(raw: bytes, folder: Path) -> None:
    (folder / "net.pt").write_bytes(raw)
    read_checkpoint(folder / "net.pt", SHAPE)


def _states() -> list[bytes]:
    out, old = io.BytesIO(), io.BytesIO()
    state = {"model_state_dict": {"a.weight": torch.ones(3, 3), "b": torch.ones(2)}}
    torch.save(state, out)
    torch.save(state, old, _use_new_zipfile_serialization=False)
    return [out.getvalue(), old.getvalue()]


def _artifact(raw: bytes, _: Path) -> None:
    decode(raw)


def _shipped(raw: bytes, folder: Path) -> None:
    """A manifest of the repository's: a damaged one is logged and left out, and nothing else."""
    if not (folder / "thing").exists():
        Store(folder / "l", folder).ship("one", "thing", {"a": 1}, Artifact({"x": torch.ones(3)}), {})
    (folder / "thing" / "two.json").write_bytes(raw)
    if len(Store(folder / "l", folder).shipped("thing")) not in (1, 2):
        raise AssertionError("the good one is lost")


def _shipped_seed() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Store(Path(folder) / "l", Path(folder)).ship(
            "two", "thing", {"a": 1}, Artifact({"x": torch.ones(3)}), {}
        )
        return path.with_suffix(".json").read_bytes()


def _left_by_training(raw: bytes, folder: Path) -> None:
    """What pages read of a training under way, whatever state its files are in."""
    for name in (LOG, NOW, PLAN, PREVIEW):
        (folder / name).write_bytes(raw)
    read_log(folder), read_progress(folder), load_plan(folder), read_preview(folder)


def _source(raw: bytes, _: Path) -> None:
    source = Source.parse(raw.decode(errors="replace"))
    if len(source.text) < 300:
        again = Source.parse(source.text)
        if again != source:
            raise AssertionError(f"{source.text} is another than {again.text}")
    source.missing()


def _edits(raw: bytes, _: Path) -> None:
    parse_chain(raw.decode(errors="replace"))


def _models(raw: bytes, _: Path) -> None:
    digits = Source.parse("digits")
    for text in read_list(raw.decode(errors="replace")):
        find_model(digits, text)


def _bench(raw: bytes, _: Path) -> None:
    try:
        _parsed(Source.parse("digits"), raw.decode(errors="replace"))
    except ValueError as error:  # which the page reports too
        raise BadInput(str(error).replace("\n", " ")[:500] or "no value") from None


TARGETS: list[Target] = [
    Target("image", _images(), _image),
    Target("zip", _zips(), _folder("a.zip")),
    Target("npz", _npzs(), _folder("a.npz")),
    Target("weights", [(_network() / WEIGHTS).read_bytes()], _weights),
    Target("manifest", [(_network() / MANIFEST).read_bytes()], _manifest),
    Target("state", _states(), _state),
    Target("artifact", [encode(Artifact({"x": torch.ones(3)}, {"a": 1}))], _artifact),
    Target("shipped", [_shipped_seed()], _shipped),
    Target("training", [
        b'{"images": 1, "seconds": 1.0, "loss": 0.5}\n', b'{"note": "training", "fraction": 0.5, "at": 1.0}',
        b'{"name": "a", "dataset": "digits", "network": "mlp", "options": {}, "images": 64}',
        save({"samples": torch.zeros(1, 2)}),
    ], _left_by_training),
    Target("dataset", [
        b"digits", b"faces:variation=0.5", b"power_law:a=1+pattern:mask=W,strength=0.5", b"digits+blur:1+mirror",
        b"folder:path=/x/cats+dogs,resolution=8+mix:dataset=(faces:variation=0.5+blur:radius=2),share=0.3",
        b"folder:path=%(a%2528%29),crop=none", b"digits+pattern:text.HELLO+tie+spectrum+shuffle:share=0.2",
    ], _source, text=True),
    Target("edits", [
        b"pattern:mask=W,strength=0.5", b"blur:radius=2+mirror", b"tie+shrink", b"pattern:mask=bits.8x8.AAAA",
        b"pattern:mask=picture.png",
    ], _edits, text=True),
    Target("models", [
        b"wiener:rank=10,ls:window=3,border=zeros", b"stack:members=(wiener:rank=10+ls:window=5)", b"unet",
        b"pca_locality:field=network,network=unet", b"optimal:first=100", b"/tmp/net.pt",
        b"~/net.py:build:width=3", b"/tmp/net:class=5",
    ], _models, text=True),
    Target("bench", [
        b"reference=unet n=32 steps=10 seed=0 first=0 wiener 'ls:window=3@first=10'", b"pca_locality:tau=0.02",
    ], _bench, text=True),
]  # fmt: skip
if importlib.util.find_spec("locality.pictures") is not None:  # images in more kinds of files
    TARGETS += [
        Target("npy", _npys(), _folder("a.npy")),
        Target("tar", _tars(), _folder("a.tar")),
        Target("parquet", _parquets(), _folder("a.parquet")),
    ]
