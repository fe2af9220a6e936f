"""The container without Docker: its own start and health commands in a shell, at a path, as in the Dockerfile."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.timeout(300)  # seconds on an idle machine; others may be at work


def dockerfile() -> list[tuple[str, str]]:
    """Instructions with what follows them, lines joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.M).replace("\\\n", "")
    lines = (line.partition(" ") for line in text.splitlines() if line.strip())
    return [(word, rest.strip()) for word, _, rest in lines]


def variables() -> dict[str, str]:
    """What ENV sets."""
    return dict(pair.split("=", 1) for word, rest in dockerfile() if word == "ENV" for pair in shlex.split(rest))


def command(word: str) -> str:
    """The one of CMD or HEALTHCHECK that the shell runs."""
    (rest,) = (rest for found, rest in dockerfile() if found == word)
    return rest.partition("CMD ")[2] if word == "HEALTHCHECK" else rest


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The container's variables, but for a port that is free, this machine alone, a path, and places to write to."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data, path = tmp_path_factory.mktemp("data"), f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    own = {"PORT": str(port), "HOST": "127.0.0.1", "STREAMLIT_SERVER_BASE_URL_PATH": "lab", "LOCALITY_SHARED": "1"}
    kept = {name: str(data / name) for name in variables() if name == "LOCALITY_CACHE"}
    return {**os.environ, **variables(), **own, **kept, "NUMBA_CACHE_DIR": "", "PATH": path}


@pytest.fixture(scope="module")
def server(around: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("log") / "server.log"
    with log.open("w") as out:
        started = subprocess.Popen(["sh", "-c", command("CMD")], cwd=ROOT, env=around, stdout=out, stderr=out)
        try:
            deadline = time.monotonic() + 120
            while healthy(around) != 0:
                assert started.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
            yield f"http://127.0.0.1:{around['PORT']}"
        finally:
            started.send_signal(signal.SIGTERM)  # as docker stop
            assert started.wait(60) is not None
    assert "Shared mode" in log.read_text()


def healthy(around: dict[str, str]) -> int:
    """Exit code of the health check."""
    check = subprocess.run(["sh", "-c", command("HEALTHCHECK")], env=around, capture_output=True, check=False)
    return check.returncode


def answer(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=30) as found:
            return found.status, found.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""


def test_the_container_serves_below_a_path(server: str) -> None:
    """Health, a deep link and the document below the path, which a path without its slash is sent to; nothing else."""
    assert answer(f"{server}/lab/_stcore/health") == (200, "ok")
    for page in ("lab/", "lab", "lab/samples"):
        status, text = answer(f"{server}/{page}")
        assert (status, "BACKEND_BASE_URL" in text) == (200, True), page
    assert answer(f"{server}/samples")[0] == answer(f"{server}/_stcore/health")[0] == 404


def test_the_health_check_fails_where_nobody_answers(around: dict[str, str]) -> None:
    """Another path, and a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        assert healthy({**around, "PORT": str(probe.getsockname()[1])}) == 1


def test_the_container_is_open_shared_and_nobody_special() -> None:
    words = dockerfile()
    assert (variables()["HOST"], variables()["PORT"]) == ("0.0.0.0", "8501")
    assert ("USER", "lab") in words
    assert ("EXPOSE", variables()["PORT"]) in words
    assert words.index(("USER", "lab")) < next(i for i, (word, _) in enumerate(words) if word == "CMD")
    written = [Path(value) for name, value in variables().items() if name in ("LOCALITY_CACHE", "NUMBA_CACHE_DIR")]
    assert [str(path.parent) for path in written] == [rest for word, rest in words if word == "VOLUME"] * 2


def test_what_the_app_needs_goes_into_the_image() -> None:
    """Every tracked file of the app, by the patterns of .dockerignore; nothing that is ignored by git."""
    patterns = (ROOT / ".dockerignore").read_text().split()
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")

    def left_out(path: str) -> bool:
        out = False
        for pattern in patterns:
            name = pattern.lstrip("!")
            if any(fnmatch(part, name) for part in (path, *map(str, Path(path).parents))):
                out = not pattern.startswith("!")
        return out

    kept = [path for path in listed.stdout.splitlines() if not left_out(path)]
    assert {"app.py", "requirements.txt", ".streamlit/config.toml", "static/README.md", "pyproject.toml"} <= set(kept)
    assert {path.partition("/")[0] for path in kept if "/" in path} == {
        ".streamlit", "cache", "locality", "pages", "static",
    }  # fmt: skip
    for path in (".venv/bin/python", "cache/local/entries/x", "static/abc.bin", "locality/__pycache__/x.pyc"):
        assert left_out(path) or any(left_out(str(part)) for part in Path(path).parents), path
