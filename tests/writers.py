"""What the program writes, as writers of versions: what `tests.kills` kills."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from abc import ABC, abstractmethod
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import torch
from torch import Tensor

from locality.cli.parts.npz import write_npz
from locality.datasets import Source
from locality.datasets.parts.download import Download, RemoteFile
from locality.features.classifier import ClassifierNet, load_classifier, save_classifier
from locality.linear.moments import PixelMoments
from locality.linear.unfinished import Unfinished
from locality.networks import NETWORKS, NetworkDenoiser, load_network, save_network
from locality.networks.training.state import read_state, write_state
from locality.store import Artifact, Store
from locality.studies import Sampling, Trajectory
from locality.studies.sampling.grids import Grid, ship_grid, shipped_grid
from locality.studies.shipped import ship
from locality.studies.training.journal import Log, read_log
from locality.studies.training.preview import Frame, Preview, read_preview, write_preview
from locality.studies.training.recording import KIND, Recording, pack, shipped_recordings
from locality.types import ImageShape, Pixel
from pages._ui.explorer import files

SHAPE = ImageShape(1, 8, 8)
_MANY = 20_000


def numbers(version: int, count: int = _MANY) -> Tensor:
    """What a version holds: all the same, so that a mixture of two is seen."""
    return torch.full((count,), float(version))


def version_of(values: Any) -> int:
    """The version of what was read. Raises AssertionError where it is a mixture of two."""
    plain = values.detach().double().numpy() if isinstance(values, Tensor) else values
    found = set(np.asarray(plain).ravel().tolist())
    assert len(found) == 1, f"a mixture of {sorted(found)[:5]}"
    return int(found.pop())


class Writer(ABC):
    """Writes version after version into a folder; `read` gives the one that is there, whole.

    `events`, `bytes`, `seconds`: about how many operations on files, bytes of a file, time a write takes.
    """

    name: str
    events, bytes, seconds = 12, 90_000, 0.02

    @abstractmethod
    def write(self, folder: Path, version: int) -> None:
        """In a process that is killed."""

    @abstractmethod
    def read(self, folder: Path, version: int) -> int:
        """In another one; all versions before `version - 1` are checked too where they are kept."""


class Cache(Writer):
    """Results of the machine's cache: every version under a key of its own, none before it lost."""

    name, events = "store", 40

    def write(self, folder: Path, version: int) -> None:
        store = Store(folder)
        store.cached("thing", {"i": version}, lambda: Artifact({"x": numbers(version)}))
        store.close()

    def read(self, folder: Path, version: int) -> int:
        store, found = Store(folder), -1
        for i in range(version + 1):
            kept = store.get("thing", {"i": i})
            assert kept is not None or i == version, f"version {i} is lost"
            if kept is not None:
                assert version_of(kept.arrays["x"]) == i
                found = i
        store.close()
        return found


class Shipped(Writer):
    """Files of the repository: a payload and a manifest that belong together."""

    name = "shipped files"

    def write(self, folder: Path, version: int) -> None:
        Store(folder / "local", folder).ship("one", "thing", {"i": version}, Artifact({"x": numbers(version)}), {})

    def read(self, folder: Path, version: int) -> int:
        store = Store(folder / "local", folder)
        (manifest,) = store.shipped("thing")
        kept = store.get("thing", manifest["key"])
        assert kept is not None
        assert version_of(kept.arrays["x"]) == manifest["key"]["i"]
        return int(manifest["key"]["i"])


class Recordings(Writer):
    """A recording of a training among the shipped files."""

    name = "recordings"

    def write(self, folder: Path, version: int) -> None:
        field = torch.full((8, 8), float(version + 1))
        made = Recording(
            "mine", "digits", "mlp", SHAPE, (0,), (0.0,), (1.0,), (Pixel(4, 4),), version, field[None, None],
            field[None, None, None], (1.0,), 8, numbers(version, 1)[None], numbers(version, 1)[None],
            torch.zeros(1, 1, 64, dtype=torch.uint8),
        )  # fmt: skip
        ship(Source.parse("digits"), "one", KIND, {"i": version}, pack(made), {}, folder, store=Store(folder / "local"))

    def read(self, folder: Path, version: int) -> int:
        (made,) = shipped_recordings("digits", store=Store(folder / "local", folder))
        assert version_of(made.errors) == made.draws == version_of(made.learned.round()) - 1
        return made.draws


class Grids(Writer):
    """The samples a page opens on, among the shipped files."""

    name = "sample grids"

    @cached_property
    def source(self) -> Source:
        return Source.parse("digits")

    def write(self, folder: Path, version: int) -> None:
        sampling = Sampling(count=2, steps=2, seed=version)
        x = torch.full((2, 2, 64), 0.5)
        x[0] = -0.5
        drawn = {"wiener": Trajectory(x, x, sampling.sigmas(), SHAPE, float(version))}
        found = (torch.full((2, 1), version), torch.zeros(2, 1), torch.zeros(2, 1))
        ship_grid(self.source, Grid(sampling, drawn, {"wiener": found}), folder, store=Store(folder / "local"))

    def read(self, folder: Path, version: int) -> int:
        made = shipped_grid(self.source, store=Store(folder / "local", folder))
        assert made is not None
        seconds = made.drawn["wiener"].seconds
        assert made.sampling.seed == seconds == version_of(made.nearest["wiener"][0])
        return made.sampling.seed


class Networks(Writer):
    """A trained network over another: weights and manifest."""

    name = "networks"

    @cached_property
    def denoiser(self) -> NetworkDenoiser:
        spec = NETWORKS.parse("mlp:width=32,depth=1")
        return NetworkDenoiser(spec.build(SHAPE), spec, SHAPE)

    def write(self, folder: Path, version: int) -> None:
        _fill(self.denoiser.net, version)
        save_network(folder, self.denoiser, {"images_seen": version})

    def read(self, folder: Path, version: int) -> int:
        loaded = load_network(folder)  # settles what was left, if anything was
        manifest = json.loads((folder / "manifest.json").read_text())
        assert {version_of(tensor) for tensor in loaded.net.parameters()} == {manifest["images_seen"]}
        return int(manifest["images_seen"])


class States(Networks):
    """A training under way."""

    name, bytes = "training state", 300_000

    def write(self, folder: Path, version: int) -> None:
        net = self.denoiser.net
        _fill(net, version)
        optimiser = torch.optim.AdamW(net.parameters())
        ema = {name: numbers(version, 5_000) for name in ("a", "b")}
        write_state(folder, {"identity": {"network": {}}, "i": version}, net, ema, optimiser, torch.Generator())

    def read(self, folder: Path, version: int) -> int:
        net = self.denoiser.net
        about, ema = read_state(folder, {"network": {}}, net, torch.optim.AdamW(net.parameters()), torch.Generator())
        found = {version_of(tensor) for tensor in (*net.parameters(), *ema.values())}
        assert found == {about["i"]}
        return int(about["i"])


class Classifiers(Writer):
    """The classifier of a dataset: weights and manifest."""

    name = "classifiers"

    @cached_property
    def net(self) -> ClassifierNet:
        return ClassifierNet(SHAPE, 2)

    def write(self, folder: Path, version: int) -> None:
        _fill(self.net, version)
        save_classifier(folder, self.net, {"dataset": "digits", "shape": list(SHAPE), "classes": 2, "i": version})

    def read(self, folder: Path, version: int) -> int:
        loaded = load_classifier(folder)
        manifest = json.loads((folder / "manifest.json").read_text())
        assert {version_of(tensor) for tensor in loaded.net.parameters()} == {manifest["i"]}
        return int(manifest["i"])


class Journals(Writer):
    """The curves of a training, a line at a time; one that is being written is left out."""

    name, bytes, seconds = "training log", 3_000, 0.005

    def write(self, folder: Path, version: int) -> None:
        log = Log(folder, version)  # a training that goes on from `version` images
        log.add({"loss": float(version), "images": version, "rate": 1.0}, float(version))
        log.flush()

    def read(self, folder: Path, version: int) -> int:
        lines = read_log(folder)
        images = sorted({int(line["images"]) for line in lines})
        assert all(line["loss"] == line["images"] for line in lines)
        assert images in ([*range(version)], [*range(version + 1)]), f"lines are lost: {images}"
        return images[-1]


class Previews(Writer):
    """What a page shows of a training."""

    name = "previews"

    def write(self, folder: Path, version: int) -> None:
        frames = [Frame(version, 1.0, torch.zeros(2, 64, dtype=torch.uint8), torch.full((8, 8), float(version)))] * 9
        write_preview(folder, Preview(SHAPE, 1.0, Pixel(4, 4), torch.full((8, 8), float(version)), frames))

    def read(self, folder: Path, version: int) -> int:
        made = read_preview(folder)
        assert made is not None
        found = {version_of(made.predicted), *(version_of(frame.learned) for frame in made.frames)}
        assert len(found) == 1
        return found.pop()


class Arrays(Writer):
    """The npz files of commands."""

    name = "npz files"

    def write(self, folder: Path, version: int) -> None:
        write_npz(folder / "out.npz", x=numbers(version).numpy(), y=numbers(version).numpy())

    def read(self, folder: Path, version: int) -> int:
        with np.load(folder / "out.npz") as arrays:
            return version_of(np.concatenate([arrays["x"], arrays["y"]]))


class Tables(Writer):
    """Files the browser fetches."""

    name = "tables of the browser"

    def write(self, folder: Path, version: int) -> None:
        files._STATIC = folder  # a process of its own
        files.write("table.bin", numbers(version).numpy().tobytes())

    def read(self, folder: Path, version: int) -> int:
        return version_of(np.frombuffer((folder / "table.bin").read_bytes(), np.float32))


class Downloads(Writer):
    """Files from a server on this machine, resumed and checked; every version a file of its own."""

    name, events, seconds = "downloads", 30, 0.05

    @cached_property
    def mirror(self) -> str:
        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                whole = _payload(int(self.path.rpartition("-")[2].partition(".")[0]))
                start = int((self.headers["Range"] or "bytes=0-").split("=")[1].rstrip("-"))
                part = whole[start:]
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(part)))
                self.send_header("Content-Range", f"bytes {start}-{len(whole) - 1}/{len(whole)}")
                self.end_headers()
                try:
                    self.wfile.write(part)
                except OSError:
                    return  # whoever asked was killed

            def log_message(self, *_: Any) -> None:
                return

        server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}/"

    def write(self, folder: Path, version: int) -> None:
        raw = _payload(version)
        wanted = RemoteFile(f"file-{version}.gz", len(raw), sha256=hashlib.sha256(raw).hexdigest())
        for _ in Download("T", "none", "set", (wanted,), (self.mirror,)).run(folder):
            pass

    def read(self, folder: Path, version: int) -> int:
        self.mirror  # noqa: B018  # in this process, before any fork
        found = -1
        for i in range(version + 1):
            place = folder / "set" / f"file-{i}.gz"
            assert place.exists() or i == version, f"file {i} is lost"
            if place.exists():
                assert place.read_bytes() == _payload(i), "half of a file"
                found = i
        return found


def _payload(version: int) -> bytes:
    made = io.BytesIO()
    with gzip.GzipFile(fileobj=made, mode="wb", mtime=0) as out:
        out.write(np.random.default_rng(version).bytes(80_000))
    return made.getvalue()


def _fill(net: torch.nn.Module, version: int) -> None:
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.fill_(version)


class Passes(Writer):
    """The sums of a pass over images that is not finished."""

    name = "passes"

    def write(self, folder: Path, version: int) -> None:
        sums = torch.full((100, 100), version)
        self._place(folder).write([PixelMoments(version, sums[0].clone(), sums)])

    def read(self, folder: Path, version: int) -> int:
        (found,) = self._place(folder).read()
        assert isinstance(found, PixelMoments)
        assert version_of(found.gram) == version_of(found.sums) == found.count
        return found.count

    def _place(self, folder: Path) -> Unfinished:
        return Unfinished(folder, "digits", "abc", torch.uint8, 100)


WRITERS: tuple[Writer, ...] = (
    Cache(), Shipped(), Recordings(), Grids(), Networks(), States(), Classifiers(), Journals(), Previews(), Arrays(),
    Tables(), Downloads(), Passes(),
)  # fmt: skip
