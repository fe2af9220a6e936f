"""The command app, and where the dashboard and its files are looked for."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from locality import places


def test_app_serves_the_dashboard_from_any_folder(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = {**os.environ, "PYTHONPATH": str(places.home()), "LOCALITY_CACHE": str(tmp_path / "cache")}
    shutil.copy(places.home() / "tests" / "outside" / "shrunken.py", tmp_path)
    where["LOCALITY_PLUGINS"] = "shrunken.py"  # as one writes it in one's own folder
    command = [sys.executable, "-m", "locality", "app", "--headless", "--port", str(port)]
    server = subprocess.Popen(command, cwd=tmp_path, env=where, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        assert _answers(f"http://127.0.0.1:{port}/_stcore/health", server) == "ok"
        listening = {socket.inet_ntoa(bytes.fromhex(one)[::-1]) for one, at in _listeners() if at == port}
        assert listening <= {"127.0.0.1"}, "open to the network"
    finally:
        server.terminate()
        server.communicate(timeout=30)


def _listeners() -> list[tuple[str, int]]:
    """Address in hexadecimal and port of every socket of IPv4 that listens; none where the system does not say."""
    table = Path("/proc/net/tcp")
    rows = [line.split() for line in table.read_text().splitlines()[1:]] if table.exists() else []
    places = (row[1].split(":") for row in rows if row[3] == "0A")
    return [(address, int(port, 16)) for address, port in places]


def _answers(url: str, server: subprocess.Popen[bytes]) -> str:
    end = time.monotonic() + 120
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return str(answer.read().decode())
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    pytest.fail(f"no answer; the server ended with {server.poll()}")


def test_a_checkout_keeps_results_beside_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCALITY_CACHE", raising=False)
    assert (places.home() / "pages").is_dir()
    assert places.local_cache() == places.home() / "cache" / "local"
    monkeypatch.setenv("LOCALITY_CACHE", "elsewhere")
    assert places.local_cache() == Path("elsewhere")


def test_an_installed_package_holds_the_dashboard_and_keeps_results_with_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LOCALITY_CACHE", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(places, "_PACKAGE", tmp_path / "site-packages" / "locality")
    assert places.home() == tmp_path / "site-packages" / "locality" / "dashboard"
    assert places.local_cache() == places.user_data_dir() / "cache"
