"""Checkpoints of the hub, from a server on this machine that speaks its language."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import diffusers
import huggingface_hub
import pytest

from tests.shell import Shell, refused

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """Files of one repository, and what was asked for; `cut` ends the first answer with weights after so many bytes."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files, self.asked, self.cut, self.licence = files, [], 0, "mit"  # type: ignore[var-annotated]

    def siblings(self) -> list[dict[str, object]]:
        return [self._about(name, payload) for name, payload in self.files.items()]

    def _about(self, name: str, payload: bytes) -> dict[str, object]:
        blob = hashlib.sha1(b"blob %d\0" % len(payload) + payload).hexdigest()
        about: dict[str, object] = {"rfilename": name, "size": len(payload), "blobId": blob}
        if name.endswith(".safetensors"):
            digest = hashlib.sha256(payload).hexdigest()
            about["lfs"] = {"sha256": digest, "size": len(payload), "pointerSize": 130}
        return about


def handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Answers(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            path = self.path.partition("?")[0]
            if path.startswith("/api/models/org/net"):
                card = {"license": hub.licence}
                about = {"id": "org/net", "sha": COMMIT, "siblings": hub.siblings(), "cardData": card, "tags": []}
                self.send(200, json.dumps(about).encode(), body, {"Content-Type": "application/json"})
            elif path.startswith(f"/org/net/resolve/{COMMIT}/"):
                self.file(path.partition(f"{COMMIT}/")[2], body)
            else:
                self.send(404, b"", body, {"X-Error-Code": "RepoNotFound"})

        def file(self, name: str, body: bool) -> None:
            payload = served = hub.files[name]
            start = int((self.headers.get("Range") or "bytes=0-")[6:].partition("-")[0])
            heads = {"ETag": f'"{hashlib.sha256(payload).hexdigest()}"', "X-Repo-Commit": COMMIT}
            hub.asked.append((name, start, body))
            served = payload[start:]
            if start:
                heads["Content-Range"] = f"bytes {start}-{len(payload) - 1}/{len(payload)}"
            if body and hub.cut and name.endswith(".safetensors"):
                heads["Content-Length"], cut, hub.cut = str(len(served)), hub.cut, 0
                self.send(206 if start else 200, served[:cut], body, heads)
                self.close_connection = True
                return
            self.send(206 if start else 200, served, body, heads)

        def send(self, code: int, payload: bytes, body: bool, heads: dict[str, str]) -> None:
            self.send_response(code)
            for name, value in {"Content-Length": str(len(payload)), **heads}.items():
                self.send_header(name, value)
            self.end_headers()
            if body:
                self.wfile.write(payload)

    return Answers


@pytest.fixture(scope="module")
def payloads(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("net")
    blocks = {"down_block_types": ("DownBlock2D",), "up_block_types": ("UpBlock2D",), "block_out_channels": (8,)}
    net = diffusers.UNet2DModel(
        sample_size=8, in_channels=1, out_channels=1, layers_per_block=1, norm_num_groups=4, **blocks
    )
    net.save_pretrained(folder)
    diffusers.DDPMScheduler().save_pretrained(folder)
    names = ("config.json", "scheduler_config.json", "diffusion_pytorch_model.safetensors")
    return {**{name: (folder / name).read_bytes() for name in names}, "code.pkl": b"x", "other/README.md": b"# x"}


@pytest.fixture
def hub(payloads: dict[str, bytes]) -> Iterator[tuple[Hub, str]]:
    made = Hub(dict(payloads))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(made))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield made, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def fetched(shell: Shell, address: str, folder: Path, *more: str, text: str = "checkpoint:org/net"):  # type: ignore[no-untyped-def]
    return shell("download", text, "--mirror", address, "--to", folder, *more)


def test_a_checkpoint_is_shown_fetched_and_opened(hub: tuple[Hub, str], shell: Shell, tmp_path: Path) -> None:
    made, address = hub
    dry = fetched(shell, address, tmp_path, "--dry-run", "--json")
    assert dry.json["licence"] == "mit"
    assert dry.json["bytes"] == sum(len(p) for name, p in made.files.items() if name != "code.pkl")
    assert made.asked == []
    assert not (tmp_path / "checkpoints").exists()
    done = fetched(shell, address, tmp_path)
    assert done.code == 0, done.err
    assert "licence: mit" in done.err
    folder = tmp_path / "checkpoints" / "org--net"
    assert not (folder / "code.pkl").exists()
    assert shell("checkpoint", folder).code == 0
    before = len(made.asked)
    assert fetched(shell, address, tmp_path).code == 0
    assert len(made.asked) == before  # all is here already


def test_bytes_that_are_not_those_listed_are_removed(hub: tuple[Hub, str], shell: Shell, tmp_path: Path) -> None:
    made, address = hub
    whole = made.siblings()
    name = "diffusion_pytorch_model.safetensors"
    made.files[name] = made.files[name][:-1] + b"?"
    made.siblings = lambda: whole  # type: ignore[method-assign]
    assert f"{name} of org/net is not what the hub lists" in refused_last(fetched(shell, address, tmp_path))
    assert not (tmp_path / "checkpoints" / "org--net" / name).exists()


def test_a_download_that_was_cut_goes_on(
    hub: tuple[Hub, str], shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept are whole blocks, of 10 MB; the network here is smaller than one."""
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 256)
    made, address = hub
    made.cut = 1000
    first = fetched(shell, address, tmp_path)
    again = fetched(shell, address, tmp_path) if first.code else first
    assert again.code == 0, again.err
    name = "diffusion_pytorch_model.safetensors"
    assert (tmp_path / "checkpoints" / "org--net" / name).read_bytes() == made.files[name]
    assert any(start > 0 for asked, start, _ in made.asked if asked == name)


def test_what_cannot_be_fetched_is_one_line(hub: tuple[Hub, str], shell: Shell, tmp_path: Path) -> None:
    _, address = hub
    line = refused(fetched(shell, address, tmp_path, text="checkpoint:org/none"))
    assert "There is no public repository org/none" in line
    assert "names no repository" in refused(fetched(shell, address, tmp_path, text="checkpoint:net"))
    assert "has no weights as" in refused(fetched(shell, address, tmp_path, text="checkpoint:org/net/other"))
    assert "org/net could not be" in refused(fetched(shell, "http://127.0.0.1:9", tmp_path))


def refused_last(result: object) -> str:
    """The error after the lines that say what is fetched."""
    assert result.code == 2, result  # type: ignore[attr-defined]
    return str(result.err.splitlines()[-1])  # type: ignore[attr-defined]
